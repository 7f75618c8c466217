//! The credential files of the AWS tools.
//!
//! The values are secrets: they are handed to the client of the store and never printed.

use std::path::PathBuf;

use crate::store::{Cause, Environment, Error, Result};

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Settings of a profile of the AWS tools; secrets, so without `Debug`.
#[derive(Default)]
pub(super) struct AwsProfile {
    pub(super) access_key_id: Option<String>,
    pub(super) secret_access_key: Option<String>,
    pub(super) session_token: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint_url: Option<String>,
}

impl AwsProfile {
    /// Reads the profile that `AWS_PROFILE` names, or `default`, from the credentials file and the
    /// config file.
    ///
    /// A profile that is named must exist and hold keys, unless the keys stand in variables anyway;
    /// single sign-on, roles and external commands are not followed.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let named =
            environment.get("AWS_PROFILE").or_else(|| environment.get("AWS_DEFAULT_PROFILE"));
        let name = named.as_deref().unwrap_or("default");
        let credentials = file(environment, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let config = file(environment, "AWS_CONFIG_FILE", ".aws/config");
        let mut profile = Self::default();
        if let Some(text) = read_file(config)? {
            let section =
                if name == "default" { name.to_owned() } else { format!("profile {name}") };
            profile.take_section(&text, &section);
        }
        if let Some(text) = read_file(credentials)? {
            profile.take_section(&text, name);
        }
        let has_keys = profile.access_key_id.is_some() && profile.secret_access_key.is_some();
        if named.is_some() && !has_keys && environment.get("AWS_ACCESS_KEY_ID").is_none() {
            let message = "the AWS credentials file holds no access key for this profile; \
                           single sign-on, roles and external commands are not followed: \
                           export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead";
            return Err(Error::new(Cause::Denied, "opening", format!("profile {name}"), message));
        }
        Ok(profile)
    }

    fn take_section(&mut self, text: &str, section: &str) {
        let mut is_inside = false;
        for line in text.lines() {
            // An indented line belongs to a nested setting.
            let is_nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(header) = line.strip_prefix('[') {
                let header = header.split(']').next().unwrap_or("");
                is_inside = header.split_whitespace().eq(section.split_whitespace());
            } else if let Some((key, value)) =
                line.split_once('=').filter(|_| is_inside && !is_nested)
            {
                self.take(key.trim(), value.trim());
            }
        }
    }

    fn take(&mut self, key: &str, value: &str) {
        let place = match key {
            "aws_access_key_id" => &mut self.access_key_id,
            "aws_secret_access_key" => &mut self.secret_access_key,
            "aws_session_token" => &mut self.session_token,
            "region" => &mut self.region,
            "endpoint_url" => &mut self.endpoint_url,
            _ => return,
        };
        *place = Some(value.to_owned()).filter(|value| !value.is_empty());
    }
}

fn read_file(path: Option<PathBuf>) -> Result<Option<String>> {
    let Some(path) = path else { return Ok(None) };
    let failed =
        |cause, message: String| Error::new(cause, "reading", path.display().to_string(), message);
    match std::fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX => {
            return Err(failed(Cause::Other, "not a credentials file".to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(Cause::Denied, error.to_string())),
    }
    std::fs::read_to_string(&path)
        .map(Some)
        .map_err(|error| failed(Cause::Denied, error.to_string()))
}

/// Path of a file that a variable names, or that lies in a known place at home.
fn file(environment: &Environment, variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = environment.get(variable).map(PathBuf::from);
    named.or_else(|| environment.get("HOME").map(|home| PathBuf::from(home).join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# comment\n[default]\naws_access_key_id = AK1\n\
        aws_secret_access_key=SK1=with=equals\n\n[ work ]\naws_access_key_id=AK2\n\
        aws_secret_access_key=SK2\naws_session_token=T2\n[sso]\nsso_session = x\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile work]\nregion=eu-north-1\n\
        s3 =\n  endpoint_url = http://nested\n";

    fn read(pairs: &[(&str, &str)]) -> Result<AwsProfile> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        std::fs::write(folder.path().join(".aws/config"), CONFIG).unwrap();
        let home = folder.path().display().to_string();
        let pairs = pairs.iter().copied().chain([("HOME", home.as_str())]);
        AwsProfile::read(&Environment::fixed(pairs))
    }

    #[test]
    fn the_default_profile_is_read() {
        let profile = read(&[]).unwrap();
        assert_eq!(profile.access_key_id.as_deref(), Some("AK1"));
        assert_eq!(profile.secret_access_key.as_deref(), Some("SK1=with=equals"));
        assert_eq!(profile.session_token, None);
        assert_eq!(profile.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn a_named_profile_is_read() {
        let profile = read(&[("AWS_PROFILE", "work")]).unwrap();
        assert_eq!(profile.access_key_id.as_deref(), Some("AK2"));
        assert_eq!(profile.session_token.as_deref(), Some("T2"));
        assert_eq!(profile.region.as_deref(), Some("eu-north-1"));
        assert_eq!(profile.endpoint_url, None);
    }

    #[test]
    fn a_named_profile_without_keys_is_reported() {
        for name in ["absent", "sso"] {
            let error = read(&[("AWS_PROFILE", name)]).err().unwrap();
            assert_eq!(error.cause, Cause::Denied);
            assert!(error.object.contains(name), "{error}");
        }
        assert!(read(&[("AWS_PROFILE", "sso"), ("AWS_ACCESS_KEY_ID", "AK")]).is_ok());
    }

    #[test]
    fn without_files_there_is_nothing() {
        let profile = AwsProfile::read(&Environment::fixed([("HOME", "/nonexistent")])).unwrap();
        assert!(profile.access_key_id.is_none());
        assert!(AwsProfile::read(&Environment::fixed::<&str, &str>([])).is_ok());
    }
}
