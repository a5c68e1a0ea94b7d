//! Quotas of users, clients and addresses: the part of `configs` that is no configuration to the brokers.

use std::collections::BTreeMap;

use ottla_clients::admin::{ClientQuotas, QuotaEntity, QuotaMatch};
use ottla_common::config::java_double;

use crate::cluster::Cluster;
use crate::configs::{Changes, Entity};
use crate::error::{Result, failed};
use crate::output::outln;

const USER_AND_CLIENT_KEYS: &[&str] =
    &["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const IP_KEYS: &[&str] = &["connection_creation_rate"];

fn wire_type(kind: &str) -> &'static str {
    match kind {
        "users" => "user",
        "clients" => "client-id",
        _ => "ip",
    }
}

fn quotas(cluster: &Cluster, entity: &Entity) -> Result<Vec<(QuotaEntity, ClientQuotas)>> {
    if entity.names.len() > entity.types.len() {
        return failed("More entity names specified than entity types");
    }
    let component = |(i, kind): (usize, &String)| {
        let wanted = match entity.names.get(i).map(String::as_str) {
            None => QuotaMatch::Any,
            Some("") => QuotaMatch::Default,
            Some(name) => QuotaMatch::Exact(name.to_owned()),
        };
        (wire_type(kind), wanted)
    };
    let wanted: Vec<_> = entity.types.iter().enumerate().map(component).collect();
    cluster.wait(cluster.admin.describe_client_quotas(&wanted))
}

/// Shows limits, one line for each user, client or address.
pub(crate) fn describe(cluster: &Cluster, entity: &Entity) -> Result {
    for (who, limits) in quotas(cluster, entity)? {
        let part = |(kind, label): (&str, &str)| {
            who.get(kind).map(|name| match name.as_deref() {
                None | Some("") => format!("the default {label}"),
                Some(name) => format!("{label} '{name}'"),
            })
        };
        let labels = [("user", "user-principal"), ("client-id", "client-id"), ("ip", "ip")];
        let who: Vec<_> = labels.into_iter().filter_map(part).collect();
        let limits: Vec<_> =
            limits.iter().map(|(key, value)| format!("{key}={}", java_double(*value))).collect();
        outln!("Quota configs for {} are {}", who.join(", "), limits.join(", "));
    }
    Ok(())
}

/// Sets and removes limits.
pub(crate) fn alter(cluster: &Cluster, entity: &Entity, changes: &Changes) -> Result {
    let is_ip = entity.types == ["ips"];
    let allowed = if is_ip { IP_KEYS } else { USER_AND_CLIENT_KEYS };
    let keys = changes.add.keys().chain(&changes.delete);
    let unknown: Vec<_> = keys.filter(|key| !allowed.contains(&key.as_str())).map(String::as_str).collect();
    if unknown.iter().any(|key| key.starts_with("SCRAM-")) {
        return failed("SCRAM credentials are not supported yet.");
    }
    if !unknown.is_empty() {
        let kind = if is_ip { "connection quota" } else { "quota" };
        return failed(format!(
            "Only {kind} configs can be added for '{}' using --bootstrap-server. Unexpected config names: {}",
            entity.types.join(","),
            unknown.join(",")
        ));
    }
    let current = quotas(cluster, entity)?.into_iter().next().map(|(_, limits)| limits).unwrap_or_default();
    let missing: Vec<_> = changes.delete.iter().filter(|key| !current.contains_key(*key)).cloned().collect();
    if !missing.is_empty() {
        return failed(format!("Invalid config(s): {}", missing.join(",")));
    }
    let mut wanted: BTreeMap<_, _> = changes.delete.iter().map(|key| (key.clone(), None)).collect();
    for (key, text) in &changes.add {
        match text.parse() {
            Ok(value) => drop(wanted.insert(key.clone(), Some(value))),
            Err(_) => return failed(format!("Cannot parse quota configuration value for {key}: {text}")),
        }
    }
    let name = |name: &String| (!name.is_empty()).then(|| name.clone());
    let names = entity.types.iter().zip(&entity.names);
    let who = names.map(|(kind, text)| (wire_type(kind).to_owned(), name(text))).collect();
    cluster.wait(cluster.admin.alter_client_quotas(&who, &wanted))
}
