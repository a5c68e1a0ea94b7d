//! `--describe`: offsets, members, state.

use std::collections::BTreeMap;

use ottla_clients::admin::ShareGroupDescription;

use super::{chosen, describe_group, offsets_of, tables};
use crate::cluster::{Cluster, refusal};
use crate::error::Result;
use crate::groups::columns::coordinator_text;
use crate::groups::refusals::{print_error, refusal_with_class};
use crate::options::Options;
use crate::output::{errln, out};

pub(super) fn run(cluster: &Cluster, options: &Options) -> Result {
    let verbose = options.has("verbose");
    let mut groups: BTreeMap<String, ShareGroupDescription> = BTreeMap::new();
    for id in chosen(cluster, options).map_err(refusal)? {
        let described = describe_group(cluster, &id).map_err(refusal_with_class)?;
        groups.insert(id, described);
    }
    for (id, group) in &groups {
        if options.has("members") {
            say_who_is_missing(id, group);
            if *group.state != *"Dead" && !group.members.is_empty() {
                out!("{}", tables::members(id, group, verbose));
            }
        } else if options.has("state") {
            say_who_is_missing(id, group);
            let coordinator = coordinator_text(cluster, group.coordinator, "  ");
            out!("{}", tables::state(id, group, &coordinator, verbose));
        } else {
            let offsets = offsets_of(cluster, id).map_err(refusal)?;
            out!("{}", tables::offsets(id, &offsets, verbose));
        }
    }
    Ok(())
}

fn say_who_is_missing(id: &str, group: &ShareGroupDescription) {
    match &*group.state {
        "Dead" => print_error(&format!("Share group '{id}' does not exist.")),
        "Empty" => errln!("\nShare group '{id}' has no active members."),
        _ => {}
    }
}
