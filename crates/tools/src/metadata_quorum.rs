//! `metadata-quorum`: who votes and how far everybody is, as `kafka-metadata-quorum.sh` does.

use std::time::{SystemTime, UNIX_EPOCH};

use ottla_protocol::messages::describe_quorum_response::{Node, PartitionData as Quorum, ReplicaState};

use crate::cluster::Cluster;
use crate::error::{Result, failed, usage};
use crate::options::{Options, Parser, command, flag, value};
use crate::output::outln;
use crate::table;

pub(crate) const PARSER: Parser = Parser {
    purpose: "kafka-metadata-quorum [--bootstrap-server S | --bootstrap-controller S] [--command-config F] \
              describe [--status | --replication [--human-readable]]",
    options: &[
        value("bootstrap-server", "servers", "Brokers to connect to."),
        value("bootstrap-controller", "servers", "Controllers to connect to."),
        value("command-config", "file", "Property file with settings of the client."),
        flag("status", "A short summary of the quorum."),
        flag("replication", "How far each replica is."),
        flag("human-readable", "Times as \"n ms ago\"; only with --replication."),
        flag("dry-run", "Show what would be done, but do not do it."),
        value("controller-id", "id", "The controller to remove."),
        value("controller-directory-id", "id", "The directory id of the controller to remove."),
        flag("unregister", "Also forget the removed controller."),
    ],
};

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> Result {
    let options = PARSER.parse_or_help(args)?;
    let Some(word) = options.rest.first() else {
        return usage("kafka-metadata-quorum: error: too few arguments");
    };
    match command(&["describe", "add-controller", "remove-controller"], word) {
        Ok("describe") => describe(&options),
        Ok(later) => failed(format!("{later} is not supported yet: the quorum of one node does not change")),
        Err(what) => usage(format!("kafka-metadata-quorum: error: {what}")),
    }
}

fn describe(options: &Options) -> Result {
    match (options.has("status"), options.has("replication")) {
        (true, true) => {
            failed("Only one of --status or --replication should be specified with describe sub-command")
        }
        (false, false) => {
            failed("One of --status or --replication must be specified with describe sub-command")
        }
        (true, false) if options.has("human-readable") => {
            failed("The option --human-readable is only supported along with --replication")
        }
        (true, false) => {
            let cluster = Cluster::from_options(options)?;
            let (quorum, nodes) = quorum(&cluster)?;
            let cluster_id = cluster.admin.client().metadata().cluster_id.clone().unwrap_or_default();
            print_status(&cluster_id, &quorum, &nodes)
        }
        (false, true) => {
            let (quorum, _) = quorum(&Cluster::from_options(options)?)?;
            print_replication(&quorum, options.has("human-readable"))
        }
    }
}

fn quorum(cluster: &Cluster) -> Result<(Quorum, Vec<Node>)> {
    let response = cluster.wait(cluster.admin.describe_metadata_quorum())?;
    match response.topics.into_iter().flat_map(|topic| topic.partitions).next() {
        Some(partition) => Ok((partition, response.nodes)),
        None => failed("The broker knows no metadata quorum."),
    }
}

fn leader(quorum: &Quorum) -> Result<&ReplicaState> {
    match quorum.current_voters.iter().find(|voter| voter.replica_id == quorum.leader_id) {
        Some(leader) => Ok(leader),
        None => failed("The quorum has no leader among its voters right now; try again."),
    }
}

fn print_status(cluster_id: &str, quorum: &Quorum, nodes: &[Node]) -> Result {
    let leader = leader(quorum)?;
    let slowest = quorum.current_voters.iter().min_by_key(|voter| voter.log_end_offset).unwrap_or(leader);
    let lag_ms = if slowest.replica_id == leader.replica_id {
        0
    } else if leader.last_caught_up_timestamp >= 0 && slowest.last_caught_up_timestamp >= 0 {
        leader.last_caught_up_timestamp - slowest.last_caught_up_timestamp
    } else {
        -1
    };
    outln!("ClusterId:              {cluster_id}");
    outln!("LeaderId:               {}", quorum.leader_id);
    outln!("LeaderEpoch:            {}", quorum.leader_epoch);
    outln!("HighWatermark:          {}", quorum.high_watermark);
    outln!("MaxFollowerLag:         {}", leader.log_end_offset - slowest.log_end_offset);
    outln!("MaxFollowerLagTimeMs:   {lag_ms}");
    outln!("CurrentVoters:          {}", replicas(&quorum.current_voters, nodes));
    outln!("CurrentObservers:       {}", replicas(&quorum.observers, nodes));
    Ok(())
}

fn replicas(replicas: &[ReplicaState], nodes: &[Node]) -> String {
    let parts: Vec<_> = replicas.iter().map(|replica| replica_text(replica, nodes)).collect();
    format!("[{}]", parts.join(", "))
}

fn replica_text(replica: &ReplicaState, nodes: &[Node]) -> String {
    let mut text = format!("{{\"id\": {}", replica.replica_id);
    if !replica.replica_directory_id.is_zero() {
        text.push_str(&format!(", \"directoryId\": \"{}\"", replica.replica_directory_id));
    }
    let node = nodes.iter().find(|node| node.node_id == replica.replica_id);
    let endpoint = |l: &ottla_protocol::messages::describe_quorum_response::Listener| {
        let host = if l.host.contains(':') { format!("[{}]", l.host) } else { l.host.to_string() };
        format!("\"{}://{host}:{}\"", l.name, l.port)
    };
    let endpoints: Vec<_> = node.iter().flat_map(|node| &node.listeners).map(endpoint).collect();
    if !endpoints.is_empty() {
        text.push_str(&format!(", \"endpoints\": [{}]", endpoints.join(", ")));
    }
    text + "}"
}

fn print_replication(quorum: &Quorum, human_readable: bool) -> Result {
    let leader = leader(quorum)?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let time = |timestamp: i64| match timestamp {
        -1 => "-1".to_owned(),
        timestamp if human_readable => format!("{} ms ago", (now_ms - timestamp).max(0)),
        timestamp => timestamp.to_string(),
    };
    let row = |replica: &ReplicaState, status: &str| {
        vec![
            replica.replica_id.to_string(),
            replica.replica_directory_id.to_string(),
            replica.log_end_offset.to_string(),
            (leader.log_end_offset - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let followers = quorum.current_voters.iter().filter(|voter| voter.replica_id != quorum.leader_id);
    let mut rows = vec![row(leader, "Leader")];
    rows.extend(followers.map(|voter| row(voter, "Follower")));
    rows.extend(quorum.observers.iter().map(|observer| row(observer, "Observer")));
    let head = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    table::print(&head, &rows);
    Ok(())
}
