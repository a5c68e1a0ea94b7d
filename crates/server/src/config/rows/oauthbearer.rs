//! SASL OAUTHBEARER: tokens and their checks.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("sasl.oauthbearer.jwt.retriever.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"), Any, Medium, ReadOnly, "Class that fetches tokens."),
    key("sasl.oauthbearer.jwt.validator.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"), Any, Medium, ReadOnly, "Class that checks tokens."),
    key("sasl.oauthbearer.scope", Text, None, Any, Medium, ReadOnly, "Scope asked for with a token."),
    key("sasl.oauthbearer.client.credentials.client.id", Text, None, Any, Medium, ReadOnly, "Client id of the client-credentials grant."),
    key("sasl.oauthbearer.client.credentials.client.secret", Password, None, Any, Medium, ReadOnly, "Client secret of the client-credentials grant."),
    key("sasl.oauthbearer.assertion.algorithm", Text, Some("RS256"), OneOfIgnoreCase(&["ES256", "RS256"]), Medium, ReadOnly, "Algorithm that signs assertions."),
    key("sasl.oauthbearer.assertion.claim.aud", Text, None, Any, Medium, ReadOnly, "Audience put into assertions."),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Some("300"), Between(0.0, 86400.0), Low, ReadOnly, "Life of an assertion."),
    key("sasl.oauthbearer.assertion.claim.iss", Text, None, Any, Medium, ReadOnly, "Issuer put into assertions."),
    key("sasl.oauthbearer.assertion.claim.jti.include", Boolean, Some("false"), Any, Medium, ReadOnly, "Whether assertions carry a unique id."),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Some("60"), Between(0.0, 3600.0), Low, ReadOnly, "How far before now an assertion becomes valid."),
    key("sasl.oauthbearer.assertion.claim.sub", Text, None, Any, Medium, ReadOnly, "Subject put into assertions."),
    key("sasl.oauthbearer.assertion.file", Text, None, Any, Medium, ReadOnly, "File with a ready-made assertion."),
    key("sasl.oauthbearer.assertion.private.key.file", Text, None, Any, Medium, ReadOnly, "File of the key that signs assertions."),
    key("sasl.oauthbearer.assertion.private.key.passphrase", Password, None, Any, Medium, ReadOnly, "Passphrase of that key."),
    key("sasl.oauthbearer.assertion.template.file", Text, None, Any, Medium, ReadOnly, "File with claims every assertion carries."),
    key("sasl.oauthbearer.scope.claim.name", Text, Some("scope"), Any, Low, ReadOnly, "Claim that holds the scope."),
    key("sasl.oauthbearer.sub.claim.name", Text, Some("sub"), Any, Low, ReadOnly, "Claim that holds the user."),
    key("sasl.oauthbearer.token.endpoint.url", Text, None, Any, Medium, ReadOnly, "Where tokens are fetched."),
    key("sasl.oauthbearer.jwks.endpoint.url", Text, None, Any, Medium, ReadOnly, "Where the keys that verify tokens are fetched."),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Some("3600000"), Any, Low, ReadOnly, "How often those keys are fetched anew."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Some("100"), Any, Low, ReadOnly, "First pause before they are fetched again after a failure."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Some("10000"), Any, Low, ReadOnly, "Longest pause before they are fetched again after a failure."),
    key("sasl.oauthbearer.clock.skew.seconds", Int, Some("30"), Any, Low, ReadOnly, "Difference between clocks that is forgiven."),
    key("sasl.oauthbearer.allow.unverified.audience", Boolean, Some("false"), Any, Medium, ReadOnly, "Whether tokens are taken without checking for whom they were made."),
    key("sasl.oauthbearer.expected.audience", List, Some(""), LIST, High, ReadOnly, "Audiences of which a token must name one."),
    key("sasl.oauthbearer.allow.unverified.issuer", Boolean, Some("false"), Any, Medium, ReadOnly, "Whether tokens are taken without checking who made them."),
    key("sasl.oauthbearer.expected.issuer", Text, None, Any, High, ReadOnly, "Issuer a token must name."),
];
