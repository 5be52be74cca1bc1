//! TLS with an authority of our own: the certificate must be for one fixed name, whatever address leads to it.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::{credentials::SERVER_NAME, error::NatsError};

/// Why a certificate was not taken the last time: the client library keeps that to itself when it connects again.
pub(super) type Distrust = Arc<Mutex<Option<String>>>;

/// What a client needs to speak TLS with a server of that authority.
pub(super) fn config(authority: &Path, distrust: &Distrust) -> Result<ClientConfig, NatsError> {
    let unusable = |cause: String| NatsError::Authority {
        path: authority.to_owned(),
        cause,
    };
    let pem = std::fs::read(authority).map_err(|cause| NatsError::File {
        what: "the authority's certificate",
        path: authority.to_owned(),
        cause,
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    let fixed = FixedName {
        verifier,
        name: ServerName::try_from(SERVER_NAME).map_err(|error| unusable(error.to_string()))?,
        distrust: distrust.clone(),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(fixed))
        .with_no_client_auth();
    Ok(config)
}

/// The usual verification, for a name of ours instead of the address's.
#[derive(Debug)]
struct FixedName {
    verifier: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
    distrust: Distrust,
}

impl ServerCertVerifier for FixedName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .verifier
            .verify_server_cert(certificate, intermediates, &self.name, ocsp, now);
        let why = verified.as_ref().err().map(ToString::to_string);
        *self.distrust.lock().unwrap_or_else(PoisonError::into_inner) = why;
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
