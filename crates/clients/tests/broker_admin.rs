//! Admin against a real broker: `OTTLA_TEST_BROKER=host:port cargo test -p ottla-clients -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{admin, unique};
use ottla_clients::admin::{
    AlterConfigOp, ConfigResource, ConfigSource, NewPartitions, NewTopic, OffsetAndMetadata, OffsetSpec,
};
use ottla_common::{ErrorCode, TopicPartition};

#[tokio::test]
#[ignore = "needs a broker"]
async fn topics_live_and_die() {
    let admin = admin();
    let name = unique("topics");
    let topic = NewTopic::new(&name).sized(2, 1).config("retention.ms", "12345");
    let validated = admin.create_topics(std::slice::from_ref(&topic), true).await.unwrap();
    assert!(validated[0].1.is_ok(), "{validated:?}");
    let created = admin.create_topics(std::slice::from_ref(&topic), false).await.unwrap();
    assert_eq!(created[0].1.as_ref().unwrap().num_partitions, 2);
    let again = admin.create_topics(&[topic], false).await.unwrap();
    let error = again[0].1.as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
    assert!(error.to_string().contains(&name), "{error}");

    let more = NewPartitions { topic: name.clone(), total_count: 4, assignments: None };
    assert!(admin.create_partitions(&[more], false).await.unwrap()[0].1.is_ok());
    common::until(async || {
        let described = admin.describe_topics(&[&name]).await.unwrap();
        described[0].1.as_ref().is_ok_and(|t| t.partitions.len() == 4)
    })
    .await;
    assert!(admin.list_topics().await.unwrap().iter().any(|t| t.name == name.as_str()));

    let resource = ConfigResource::topic(&name);
    let change = [AlterConfigOp::set("max.message.bytes", "2000"), AlterConfigOp::delete("retention.ms")];
    let changed =
        admin.incremental_alter_configs(&[(resource.clone(), change.to_vec())], false).await.unwrap();
    assert!(changed[0].1.is_ok(), "{changed:?}");
    common::until(async || {
        let configs =
            admin.describe_configs(std::slice::from_ref(&resource), None, true, false).await.unwrap();
        let entries = configs[0].1.as_ref().unwrap();
        let find = |key: &str| entries.iter().find(|e| e.name == key).unwrap();
        find("max.message.bytes").value.as_deref() == Some("2000")
            && find("retention.ms").source != ConfigSource::DynamicTopicConfig
    })
    .await;

    assert!(admin.delete_topics(&[&name]).await.unwrap()[0].1.is_ok());
    let gone = admin.delete_topics(&[&name]).await.unwrap();
    assert_eq!(gone[0].1.as_ref().unwrap_err().code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn the_cluster_describes_itself() {
    let admin = admin();
    let cluster = admin.describe_cluster(true).await.unwrap();
    assert!(!cluster.nodes.is_empty() && cluster.controller_id.is_some(), "{cluster:?}");
    let features = admin.describe_features(None).await.unwrap();
    assert!(features.finalized.contains_key("metadata.version"), "{features:?}");
    let quorum = admin.describe_metadata_quorum().await.unwrap();
    assert!(quorum.topics[0].partitions[0].leader_id >= 0);
    let versions = admin.api_versions().await.unwrap();
    assert!(versions[0].1.as_ref().unwrap().api_keys.len() > 20);
    let brokers: Vec<_> = cluster.nodes.iter().map(|n| n.node.id).collect();
    for (_, dirs) in admin.describe_log_dirs(&brokers, None).await.unwrap() {
        assert!(!dirs.unwrap().is_empty());
    }
    let broker = ConfigResource::broker(brokers[0]);
    let configs = admin.describe_configs(&[broker], Some(&["node.id"]), false, false).await.unwrap();
    assert_eq!(configs[0].1.as_ref().unwrap().len(), 1, "{configs:?}");
    admin.list_config_resources(&[]).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a broker"]
async fn groups_of_nothing_but_offsets() {
    let admin = admin();
    let (name, group) = (unique("offsets"), unique("group"));
    admin.create_topics(&[NewTopic::new(&name).sized(1, 1)], false).await.unwrap()[0].1.as_ref().unwrap();
    let tp = TopicPartition::new(name.as_str(), 0);
    let offsets = [(tp.clone(), OffsetAndMetadata::from(0))].into();
    let committed = admin.alter_group_offsets(&group, &offsets).await.unwrap();
    assert!(committed[0].1.is_ok(), "{committed:?}");
    assert_eq!(admin.list_group_offsets(&group, None).await.unwrap()[&tp].offset, 0);
    let described = admin.describe_group(&group).await.unwrap();
    assert_eq!((&*described.state, described.members.len()), ("Empty", 0));
    let listed = admin.list_groups(&[], &[]).await.unwrap();
    assert!(listed.iter().any(|g| g.group_id == group.as_str()));
    let removed = admin.delete_group_offsets(&group, std::slice::from_ref(&tp)).await.unwrap();
    assert!(removed[0].1.is_ok(), "{removed:?}");
    assert!(admin.list_group_offsets(&group, None).await.unwrap().is_empty());
    admin.alter_group_offsets(&group, &offsets).await.unwrap();
    assert!(admin.delete_groups(&[&group]).await.unwrap()[0].1.is_ok());
    let error = admin.describe_group(&group).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::GroupIdNotFound), "{error}");

    let wanted =
        [(tp.clone(), OffsetSpec::Earliest), (TopicPartition::new("no-such", 0), OffsetSpec::Latest)];
    let listed = admin.list_offsets(&wanted, false).await.unwrap();
    for (tp, outcome) in listed {
        match &*tp.topic {
            "no-such" => assert_eq!(outcome.unwrap_err().code(), Some(ErrorCode::UnknownTopicOrPartition)),
            _ => assert_eq!(outcome.unwrap().offset, 0),
        }
    }
    assert_eq!(admin.delete_records(&[(tp.clone(), -1)]).await.unwrap()[0].1.as_ref().unwrap(), &0);
    assert!(admin.describe_producers(&[tp]).await.unwrap()[0].1.as_ref().unwrap().is_empty());
}
