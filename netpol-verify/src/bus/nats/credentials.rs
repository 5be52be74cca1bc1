//! Fresh secrets for a server of one's own: an authority, the server's certificate and key, and two passwords.

use std::{fmt::Write as _, net::Ipv4Addr};

use async_nats::datetime::from_nanos;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::crypto::ring::default_provider;

/// The name in the server's certificate, which clients ask for whatever the address.
pub const SERVER_NAME: &str = "netpol-verify-nats";
const DAY: i128 = 24 * 60 * 60;
/// How long the certificates hold.
const DAYS: i128 = 3_653;
/// Clocks of nodes may be behind.
const BEFORE: i128 = 1;

/// Everything that has to be secret, or agreed upon, between a server and its clients.
#[derive(Clone)]
pub struct Credentials {
    /// The authority's certificate, as PEM. Its key is thrown away: it signs one certificate only.
    pub ca: String,
    /// The server's certificate, as PEM.
    pub cert: String,
    /// The server's key, as PEM.
    pub key: String,
    /// The password of sensors.
    pub sensor_password: String,
    /// The password of verifiers.
    pub verifier_password: String,
}

/// Secrets cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A certificate or key cannot be made.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The clock shows no time that a certificate could hold.
    #[error("the clock shows no usable time: set it")]
    Time,
}

/// Makes them, good for ten years from the given time, in seconds since 1970.
///
/// # Errors
/// The system gives no random numbers, or its clock is out of its mind.
pub fn fresh_credentials(now: i64) -> Result<Credentials, CredentialsError> {
    let at = |days: i128| {
        from_nanos((i128::from(now) + days * DAY) * 1_000_000_000).map_err(|_| CredentialsError::Time)
    };
    let (from, until) = (at(-BEFORE)?, at(DAYS)?);

    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (from, until);
    params
        .distinguished_name
        .push(DnType::CommonName, "netpol-verify bus authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let mut params = CertificateParams::new([SERVER_NAME.to_owned()])?;
    (params.not_before, params.not_after) = (from, until);
    params
        .subject_alt_names
        .push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority)?;

    Ok(Credentials {
        ca: authority.pem(),
        cert: certificate.pem(),
        key: key.serialize_pem(),
        sensor_password: password()?,
        verifier_password: password()?,
    })
}

fn password() -> Result<String, CredentialsError> {
    let mut bytes = [0_u8; 24];
    default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| CredentialsError::Random)?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").map_err(|_| CredentialsError::Random)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::fresh_credentials;

    #[test]
    fn secrets_are_different_each_time() {
        let (one, other) = (
            fresh_credentials(1_800_000_000).unwrap(),
            fresh_credentials(1_800_000_000).unwrap(),
        );
        assert_ne!(one.sensor_password, other.sensor_password);
        assert_ne!(one.sensor_password, one.verifier_password);
        assert_eq!(one.sensor_password.len(), 48);
        assert_ne!(one.ca, other.ca);
        assert!(one.key.starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn a_clock_out_of_its_mind_is_an_error() {
        assert!(fresh_credentials(i64::MAX).is_err());
    }
}
