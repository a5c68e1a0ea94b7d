//! TLS.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("ssl.client.auth", Text, Some("none"), OneOf(&["required", "requested", "none"]), Medium, PerBroker, "Whether clients must show a certificate: `required`, `requested` or `none`."),
    key("ssl.principal.mapping.rules", Text, Some("DEFAULT"), Any, Low, ReadOnly, "Rules that turn a certificate's name into a user."),
    key("ssl.allow.dn.changes", Boolean, Some("false"), Any, Low, ReadOnly, "Whether a reloaded certificate may have another name."),
    key("ssl.allow.san.changes", Boolean, Some("false"), Any, Low, ReadOnly, "Whether a reloaded certificate may have other alternative names."),
    key("ssl.protocol", Text, Some("TLSv1.3"), Any, Medium, PerBroker, "TLS version used to set up the context."),
    key("ssl.provider", Text, None, Any, Medium, PerBroker, "Java security provider for TLS."),
    key("ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3"), LIST, Medium, PerBroker, "TLS versions that are accepted."),
    key("ssl.keystore.type", Text, Some("JKS"), Any, Medium, PerBroker, "Format of the key store: `JKS`, `PKCS12` or `PEM`."),
    key("ssl.keystore.location", Text, None, Any, Medium, PerBroker, "File of the key store."),
    key("ssl.keystore.password", Password, None, Any, Medium, PerBroker, "Password of the key store."),
    key("ssl.key.password", Password, None, Any, Medium, PerBroker, "Password of the private key."),
    key("ssl.keystore.key", Password, None, Any, Medium, PerBroker, "Private key in PEM form."),
    key("ssl.keystore.certificate.chain", Password, None, Any, Medium, PerBroker, "Certificate chain in PEM form."),
    key("ssl.truststore.type", Text, Some("JKS"), Any, Medium, PerBroker, "Format of the trust store: `JKS`, `PKCS12` or `PEM`."),
    key("ssl.truststore.location", Text, None, Any, Medium, PerBroker, "File of the trust store."),
    key("ssl.truststore.password", Password, None, Any, Medium, PerBroker, "Password of the trust store."),
    key("ssl.truststore.certificates", Password, None, Any, Medium, PerBroker, "Trusted certificates in PEM form."),
    key("ssl.keymanager.algorithm", Text, Some("SunX509"), Any, Medium, PerBroker, "Java algorithm of the key manager."),
    key("ssl.trustmanager.algorithm", Text, Some("PKIX"), Any, Medium, PerBroker, "Java algorithm of the trust manager."),
    key("ssl.endpoint.identification.algorithm", Text, Some("https"), Any, Low, PerBroker, "How a server's name is checked against its certificate; empty turns it off."),
    key("ssl.secure.random.implementation", Text, None, Any, Low, PerBroker, "Java source of random numbers for TLS."),
    key("ssl.cipher.suites", List, Some(""), LIST, Medium, PerBroker, "Cipher suites that are accepted; empty leaves it to the library."),
    key("ssl.engine.factory.class", Class, None, Any, Low, PerBroker, "Java class that makes TLS engines."),
];
