//! Makes the clients of the object stores from an address and the environment.
//!
//! The address wins over the variables, the variables over the profile; the clients repeat nothing.

use std::sync::Arc;

use object_store::{ClientOptions, HeaderValue, ObjectStore, RetryConfig};

#[cfg(feature = "s3")]
use super::aws_profile::AwsProfile;
use super::watch::Watch;
use crate::store::location::{Bucket, Service};
use crate::store::{Cause, Environment, Error, Result};

/// Makes the client of a bucket.
pub(super) fn build(bucket: &Bucket, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    match bucket.service {
        #[cfg(feature = "s3")]
        Service::S3 => s3(bucket, environment),
        #[cfg(feature = "azure")]
        Service::Azure => azure(bucket, environment),
        #[cfg(feature = "gcs")]
        Service::Gcs => gcs(bucket, environment),
        #[allow(unreachable_patterns, reason = "with every feature nothing is left")]
        _ => {
            let message = "this program was built without this kind of store";
            Err(Error::new(Cause::Unsupported, "opening", bucket.to_string(), message))
        }
    }
}

/// Options of every client. Calls bound their own time, by the bytes that they move.
fn options(endpoint: Option<&str>) -> ClientOptions {
    let allows_http = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new()
        .with_user_agent(HeaderValue::from_static(concat!(
            "strongroom/",
            env!("CARGO_PKG_VERSION")
        )))
        .with_timeout_disabled()
        .with_connect_timeout(std::time::Duration::from_secs(15))
        .with_allow_http(allows_http)
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn built<T: ObjectStore>(
    bucket: &Bucket,
    client: object_store::Result<T>,
) -> Result<Arc<dyn ObjectStore>> {
    match client {
        Ok(client) => Ok(Arc::new(client)),
        Err(error) => {
            let message = error.to_string();
            Err(Error::new(Cause::Unsupported, "opening", bucket.to_string(), message))
        }
    }
}

#[cfg(feature = "s3")]
fn s3(bucket: &Bucket, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

    let has_other = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        .into_iter()
        .any(|variable| environment.get(variable).is_some());
    let variable = |name| environment.get(name);
    let profile = match AwsProfile::read(environment) {
        // The files of the tools are of no concern then.
        Err(_) if has_other && variable("AWS_PROFILE").is_none() => AwsProfile::default(),
        profile => profile?,
    };
    let endpoint = bucket
        .endpoint
        .clone()
        .or_else(|| variable("AWS_ENDPOINT_URL_S3"))
        .or_else(|| variable("AWS_ENDPOINT_URL"))
        .or_else(|| profile.endpoint_url.clone());
    let region = bucket
        .region
        .clone()
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .or_else(|| profile.region.clone());

    let mut builder = AmazonS3Builder::new().with_client_options(options(endpoint.as_deref()));
    for (name, value) in environment.starting_with("AWS_") {
        let Ok(key) = name.to_ascii_lowercase().parse::<Key>() else { continue };
        // Said above, with the address first.
        let is_ours = matches!(
            key,
            Key::Endpoint | Key::S3Endpoint | Key::Region | Key::DefaultRegion | Key::Bucket
        );
        if !is_ours {
            builder = builder.with_config(key, value);
        }
    }
    if let (false, Some(id), Some(secret)) =
        (has_other, profile.access_key_id, profile.secret_access_key)
    {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        if let Some(token) = profile.session_token {
            builder = builder.with_token(token);
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    let client = builder
        .with_bucket_name(&bucket.name)
        .with_retry(no_retries())
        // Not every server knows the bulk call, and deletes come one at a time anyway.
        .with_disable_bulk_delete(true)
        .with_http_connector(Watch::default())
        .build();
    built(bucket, client)
}

#[cfg(feature = "azure")]
fn azure(bucket: &Bucket, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

    let endpoint = bucket.endpoint.clone().or_else(|| environment.get("AZURE_STORAGE_ENDPOINT"));
    let mut builder =
        MicrosoftAzureBuilder::new().with_client_options(options(endpoint.as_deref()));
    for (name, value) in environment.starting_with("AZURE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let client = builder
        .with_container_name(&bucket.name)
        .with_retry(no_retries())
        .with_http_connector(Watch::default())
        .build();
    built(bucket, client)
}

#[cfg(feature = "gcs")]
fn gcs(bucket: &Bucket, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
    use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

    let endpoint = bucket.endpoint.as_deref();
    let mut builder = GoogleCloudStorageBuilder::new().with_client_options(options(endpoint));
    if let Some(key) = environment.get("SERVICE_ACCOUNT") {
        builder = builder.with_service_account_path(key);
    }
    for (name, value) in environment.starting_with("GOOGLE_") {
        if let Ok(key) = name.to_ascii_lowercase().parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let client = builder
        .with_bucket_name(&bucket.name)
        .with_retry(no_retries())
        .with_http_connector(Watch::default())
        .build();
    built(bucket, client)
}
