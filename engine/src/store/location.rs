//! Where a repository lies, as people write it, and how to get there.
//!
//! A location never holds a secret: an address with credentials in it is refused and not repeated
//! in the error.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::layers::{Limits, RetryPolicy, Throttle};
use super::{Cause, Environment, Error, LocalStore, Result, Store};

/// Place of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket or container of an object store.
    Bucket(Bucket),
}

/// A bucket, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Kind of the service.
    pub service: Service,
    /// Name of the bucket or container.
    pub name: String,
    /// Folder in the bucket, without slashes at its ends; empty for all of the bucket.
    pub prefix: String,
    /// Address of the service where it is not the vendor's own; without a slash at its end.
    pub endpoint: Option<String>,
    /// Region, where the address says one.
    pub region: Option<String>,
}

/// Kinds of object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon S3 and its kin.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Service {
    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

/// How to open a location.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Where credentials and settings are read.
    pub environment: Environment,
    /// Limits of transfer, in bytes a second.
    pub limits: Limits,
    /// How patiently calls to a remote store are repeated.
    pub retry: RetryPolicy,
}

/// Kinds of address that have a meaning but no store in this program.
const NOT_BUILT: [&str; 5] = ["sharepoint", "gdrive", "webdav+https", "webdav+http", "sftp"];
const KNOWN: &str = "a path, file, s3, gs, az";

impl Location {
    /// Reads a path or an address.
    ///
    /// Fails with [`Cause::Unsupported`] for kinds of address that this program does not know or
    /// cannot open, for malformed ones, and for those that carry credentials.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(refused("\"\"", "an empty address names no place"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::parse_path(text);
        };
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        let (user, _) = authority.rsplit_once('@').unwrap_or(("", authority));
        if !user.is_empty() && (user.contains(':') || scheme != "sftp") {
            return Err(refused(
                &format!("{}://...", scheme.escape_debug()),
                "credentials never stand in an address",
            ));
        }
        match scheme.as_str() {
            "file" => Self::parse_file(rest),
            "s3" => Bucket::parse(Service::S3, rest).map(Self::Bucket),
            "gs" => Bucket::parse(Service::Gcs, rest).map(Self::Bucket),
            "az" => Bucket::parse(Service::Azure, rest).map(Self::Bucket),
            scheme if NOT_BUILT.contains(&scheme) => {
                let message = format!("{scheme} stores are not part of this program yet");
                Err(refused(&format!("{scheme}://..."), &message))
            }
            scheme => {
                let message = format!(
                    "unknown kind of address {scheme:?}; known are {KNOWN} (and, not part of this \
                     program yet, {})",
                    NOT_BUILT.join(", ")
                );
                Err(refused(&format!("{}://...", scheme.escape_debug()), &message))
            }
        }
    }

    fn parse_path(text: &str) -> Result<Self> {
        // Else a slip of the fingers would make a folder called "s3:bucket".
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        if ["s3", "gs", "az", "file"].contains(&scheme) || NOT_BUILT.contains(&scheme) {
            let message = format!("write {scheme}://..., or ./{scheme}:... for a path");
            return Err(refused(&format!("{scheme}:..."), &message));
        }
        if text.contains('\0') {
            return Err(refused(&format!("{text:?}"), "a path holds no zero byte"));
        }
        Ok(Self::Folder(PathBuf::from(text)))
    }

    fn parse_file(rest: &str) -> Result<Self> {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        let shown = || format!("file://{}", rest.escape_debug());
        if !path.starts_with('/') {
            return Err(refused(&shown(), "write file:///path; other machines cannot be named"));
        }
        if path.contains(['?', '#']) {
            return Err(refused(&shown(), "a file address takes no parameters"));
        }
        let path =
            percent_decoded(path).ok_or_else(|| refused(&shown(), "malformed % sequence"))?;
        if path.contains(&0) {
            return Err(refused(&shown(), "a path holds no zero byte"));
        }
        Ok(Self::Folder(OsString::from_vec(path).into()))
    }

    /// Opens the store at this place; calls to a remote one are repeated as `options` say.
    ///
    /// A folder must exist; whether a bucket does is seen at the first call.
    pub fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Store>> {
        match self {
            Self::Folder(path) => Ok(limited(Arc::new(LocalStore::open(path)?), options)),
            Self::Bucket(bucket) => bucket.open(options),
        }
    }

    /// Makes the folder, or opens the bucket, which must exist.
    pub fn create(&self, options: &OpenOptions) -> Result<Arc<dyn Store>> {
        match self {
            Self::Folder(path) => Ok(limited(Arc::new(LocalStore::create(path)?), options)),
            Self::Bucket(bucket) => bucket.open(options),
        }
    }
}

impl Bucket {
    fn parse(service: Service, rest: &str) -> Result<Self> {
        let scheme = service.scheme();
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let shown = format!("{scheme}://{}", place.escape_debug());
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(refused(&shown, &format!("write {scheme}://BUCKET/PREFIX")));
        }
        let prefix = prefix.trim_end_matches('/');
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.=+,@ ".contains(&c))
        };
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            let message = "the prefix may hold letters, digits, spaces and -_.=+,@ between slashes";
            return Err(refused(&shown, message));
        }
        let mut bucket = Self {
            service,
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            bucket.take_parameter(&shown, pair)?;
        }
        Ok(bucket)
    }

    fn take_parameter(&mut self, shown: &str, pair: &str) -> Result<()> {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value).and_then(|value| String::from_utf8(value).ok());
        let value = value.ok_or_else(|| refused(shown, "malformed % sequence"))?;
        match key {
            "endpoint" => self.endpoint = Some(checked_endpoint(shown, &value)?),
            "region" => {
                if !value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
                    return Err(refused(shown, "the region holds letters, digits and -"));
                }
                self.region = Some(value).filter(|region| !region.is_empty());
            }
            // The value may be a secret, and so may a key that is none.
            key if key.len() <= 24 && key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') => {
                let message = format!("unknown parameter {key}; known are endpoint and region");
                return Err(refused(shown, &message));
            }
            _ => return Err(refused(shown, "unknown parameter; known are endpoint and region")),
        }
        Ok(())
    }

    #[cfg(not(any(feature = "s3", feature = "azure", feature = "gcs")))]
    fn open(&self, _options: &OpenOptions) -> Result<Arc<dyn Store>> {
        Err(refused(&self.to_string(), "this program was built without object stores"))
    }

    #[cfg(any(feature = "s3", feature = "azure", feature = "gcs"))]
    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Store>> {
        let store = limited(super::object::open(self, &options.environment)?, options);
        Ok(Arc::new(super::layers::Retry::new(store, options.retry)))
    }
}

fn limited(store: Arc<dyn Store>, options: &OpenOptions) -> Arc<dyn Store> {
    if options.limits == Limits::default() {
        return store;
    }
    Arc::new(Throttle::new(store, options.limits))
}

fn checked_endpoint(shown: &str, value: &str) -> Result<String> {
    let value = value.trim_end_matches('/');
    let Some(rest) = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"))
    else {
        return Err(refused(shown, "the endpoint starts with http:// or https://"));
    };
    if rest.contains('@') {
        return Err(refused(shown, "credentials never stand in an address"));
    }
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-._:[]/".contains(&c);
    if rest.is_empty() || !rest.bytes().all(is_plain) {
        return Err(refused(shown, "the endpoint is no plain http address"));
    }
    Ok(value.to_owned())
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit =
                |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

fn refused(shown: &str, message: &str) -> Error {
    Error::new(Cause::Unsupported, "opening", shown, message)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.service.scheme(), self.name)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        let endpoint = self.endpoint.iter().map(|value| ("endpoint", value));
        let region = self.region.iter().map(|value| ("region", value));
        for (i, (key, value)) in endpoint.chain(region).enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Put;

    fn bucket(text: &str) -> Bucket {
        match Location::parse(text).unwrap() {
            Location::Bucket(bucket) => bucket,
            Location::Folder(path) => panic!("{text} is the folder {path:?}"),
        }
    }

    #[test]
    fn paths_and_file_addresses_are_folders() {
        for (text, path) in [
            ("/srv/backup", "/srv/backup"),
            ("backup", "backup"),
            ("./s3:odd", "./s3:odd"),
            ("a:b", "a:b"),
            ("file:///srv/my%20backup", "/srv/my backup"),
            ("file://localhost/srv", "/srv"),
            ("FILE:///srv", "/srv"),
        ] {
            assert_eq!(Location::parse(text).unwrap(), Location::Folder(path.into()), "{text}");
        }
    }

    #[test]
    fn buckets_are_read_with_their_parameters() {
        let plain = bucket("s3://my-bucket");
        assert_eq!(
            (plain.service, plain.name.as_str(), plain.prefix.as_str()),
            (Service::S3, "my-bucket", "")
        );
        let full = bucket("s3://b/deep/er/?endpoint=http%3A%2F%2F127.0.0.1:5055/&region=eu-west-1");
        assert_eq!(full.prefix, "deep/er");
        assert_eq!(full.endpoint.as_deref(), Some("http://127.0.0.1:5055"));
        assert_eq!(full.region.as_deref(), Some("eu-west-1"));
        assert_eq!(bucket("gs://b/p").service, Service::Gcs);
        assert_eq!(bucket("az://b/p").service, Service::Azure);
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_place() {
        for text in [
            "/srv/backup",
            "s3://b",
            "gs://b/p/q",
            "s3://b/p?endpoint=http://[::1]:9000",
            "s3://b?endpoint=https://x.example&region=eu-1",
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.to_string(), text);
            assert_eq!(Location::parse(&location.to_string()).unwrap(), location);
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "s3://",
            "s3:///p",
            "s3://b/../p",
            "s3://b//p",
            "s3://b?endpoint=127.0.0.1",
            "s3://b?endpoint=http://",
            "s3://b?endpoint=ftp://x",
            "s3://b?region=a/b",
            "s3://b/%41",
            "s3://b?endpoint=%4",
            "s3:bucket",
            "sftp:host",
            "file://host/p",
            "file://p",
            "file:///%zz",
            "file:///%00",
            "s3://b/p#x",
            "s3://b?endpoint=http://x?y",
        ] {
            assert_eq!(Location::parse(text).unwrap_err().cause, Cause::Unsupported, "{text}");
        }
    }

    #[test]
    fn credentials_are_refused_and_not_repeated() {
        for text in [
            "s3://key:hush@bucket/p",
            "s3://hush@bucket/p",
            "s3://b/p?secret_access_key=hush",
            "s3://b/p?hush",
            "s3://b/p?HUSH=hush",
            "s3://b/p?endpoint=http://key:hush@127.0.0.1",
            "webdav+https://me:hush@host/p",
            "sftp://me:hush@host/p",
            "nonsense://me:hush@host/p",
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(!error.contains(":hush") && !error.contains("=hush"), "{error}");
        }
        let error = Location::parse("s3://b/p?secret_access_key=hush").unwrap_err();
        assert!(error.message.contains("secret_access_key"), "{error}");
    }

    #[test]
    fn kinds_that_are_not_built_say_so() {
        for text in [
            "sharepoint://h/sites/s/l/f",
            "gdrive://f",
            "webdav+https://h/p",
            "webdav+http://h/p",
            "sftp://me@host/p",
        ] {
            let error = Location::parse(text).unwrap_err();
            assert_eq!(error.cause, Cause::Unsupported);
            assert!(error.message.contains("not part of this program yet"), "{error}");
        }
        let error = Location::parse("ftp://host/p").unwrap_err();
        assert!(error.message.contains("\"ftp\"") && error.message.contains("s3"), "{error}");
    }

    #[test]
    fn a_folder_is_made_by_create_and_only_by_create() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let location = Location::parse(path.to_str().unwrap()).unwrap();
        let mut options = OpenOptions::default();
        assert!(location.open(&options).unwrap_err().is_not_found());
        location.create(&options).unwrap();
        options.limits.upload = Some(1 << 30);
        let store = location.open(&options).unwrap();
        let name = repo_format::ObjectName::marker();
        store.put(&name, bytes::Bytes::new(), Put::Create).unwrap();
        assert_eq!(store.describe(), path.display().to_string());
    }
}
