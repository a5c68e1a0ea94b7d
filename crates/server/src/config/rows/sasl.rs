//! SASL: who logs in, and how.

use ottla_common::config::rows::*;

/// The rows of this subject.
#[rustfmt::skip]
pub(crate) static ROWS: &[ConfigKey] = &[
    key("connections.max.reauth.ms", Long, Some("0"), Any, Medium, ReadOnly, "How long a SASL session lasts before the client must log in again; 0 means for ever."),
    key("sasl.server.max.receive.size", Int, Some("524288"), Any, Medium, ReadOnly, "Largest message during a SASL login."),
    key("security.providers", Text, None, Any, Low, ReadOnly, "Java classes that register security providers."),
    key("principal.builder.class", Class, Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"), Any, Medium, PerBroker, "Class that turns a login into a user."),
    key("sasl.mechanism.inter.broker.protocol", Text, Some("GSSAPI"), Any, Medium, PerBroker, "SASL mechanism between brokers."),
    key("sasl.enabled.mechanisms", List, Some("GSSAPI"), LIST, Medium, PerBroker, "SASL mechanisms that are offered."),
    key("sasl.server.callback.handler.class", Class, None, Any, Medium, ReadOnly, "Class that checks a SASL client's credentials."),
    key("sasl.kerberos.principal.to.local.rules", List, Some("DEFAULT"), LIST, Medium, PerBroker, "Rules that turn a Kerberos principal into a user."),
    key("sasl.jaas.config", Password, None, Any, Medium, PerBroker, "Login module and credentials, in JAAS form."),
    key("sasl.client.callback.handler.class", Class, None, Any, Medium, ReadOnly, "Class that supplies credentials when this node is the client."),
    key("sasl.login.class", Class, None, Any, Medium, ReadOnly, "Class that performs the login of this node."),
    key("sasl.login.callback.handler.class", Class, None, Any, Medium, ReadOnly, "Class that supplies credentials for that login."),
    key("sasl.kerberos.service.name", Text, None, Any, Medium, PerBroker, "Kerberos name under which brokers run."),
    key("sasl.kerberos.kinit.cmd", Text, Some("/usr/bin/kinit"), Any, Medium, PerBroker, "Path of `kinit`."),
    key("sasl.kerberos.ticket.renew.window.factor", Double, Some("0.8"), Any, Medium, PerBroker, "Share of a ticket's life after which it is renewed."),
    key("sasl.kerberos.ticket.renew.jitter", Double, Some("0.05"), Any, Medium, PerBroker, "Random part added to that time."),
    key("sasl.kerberos.min.time.before.relogin", Long, Some("60000"), Any, Medium, PerBroker, "Shortest pause between two refreshes of a ticket."),
    key("sasl.login.refresh.window.factor", Double, Some("0.8"), Any, Medium, PerBroker, "Share of a credential's life after which it is refreshed."),
    key("sasl.login.refresh.window.jitter", Double, Some("0.05"), Any, Medium, PerBroker, "Random part added to that time."),
    key("sasl.login.refresh.min.period.seconds", Short, Some("60"), Any, Medium, PerBroker, "Shortest life a credential should have before it is refreshed."),
    key("sasl.login.refresh.buffer.seconds", Short, Some("300"), Any, Medium, PerBroker, "Time that should remain when a credential is refreshed."),
    key("sasl.login.connect.timeout.ms", Int, None, Any, Low, ReadOnly, "How long a connection to the identity provider may take."),
    key("sasl.login.read.timeout.ms", Int, None, Any, Low, ReadOnly, "How long the identity provider may take to answer."),
    key("sasl.login.retry.backoff.max.ms", Long, Some("10000"), Any, Low, ReadOnly, "Longest pause before the identity provider is asked again."),
    key("sasl.login.retry.backoff.ms", Long, Some("100"), Any, Low, ReadOnly, "First pause before the identity provider is asked again."),
    key("delegation.token.secret.key", Password, None, Any, Medium, ReadOnly, "Secret with which delegation tokens are signed, the same on every node."),
    key("delegation.token.max.lifetime.ms", Long, Some("604800000"), AtLeast(1.0), Medium, ReadOnly, "Age beyond which a delegation token cannot be renewed."),
    key("delegation.token.expiry.time.ms", Long, Some("86400000"), AtLeast(1.0), Medium, ReadOnly, "How long a delegation token is valid without renewal."),
    key("delegation.token.expiry.check.interval.ms", Long, Some("3600000"), AtLeast(1.0), Low, ReadOnly, "How often expired delegation tokens are looked for."),
];
