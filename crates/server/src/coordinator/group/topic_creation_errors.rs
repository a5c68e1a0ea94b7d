use std::collections::BTreeMap;

use bytestring::ByteString;

/// Why topics could not be made, for as long as it is worth knowing: meanwhile nobody tries again.
#[derive(Debug)]
pub(super) struct TopicCreationErrors {
    capacity: usize,
    by_topic: BTreeMap<ByteString, TopicCreationError>,
}

#[derive(Debug)]
struct TopicCreationError {
    message: String,
    expires_at_ms: i64,
}

impl TopicCreationErrors {
    /// Remembers so many errors at most, and forgets those first that expire first.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, by_topic: BTreeMap::new() }
    }

    pub(super) fn put(&mut self, now_ms: i64, ttl_ms: i64, topic: ByteString, message: String) {
        let expires_at_ms = now_ms.saturating_add(ttl_ms);
        self.by_topic.insert(topic, TopicCreationError { message, expires_at_ms });
        self.by_topic.retain(|_, error| error.expires_at_ms > now_ms);
        while self.by_topic.len() > self.capacity {
            let first = self.by_topic.iter().min_by_key(|(_, error)| error.expires_at_ms);
            let Some(first) = first.map(|(topic, _)| topic.clone()) else { break };
            self.by_topic.remove(&first);
        }
    }

    /// Why the topic could not be made a short time ago.
    pub(super) fn get(&self, now_ms: i64, topic: &ByteString) -> Option<&str> {
        let error = self.by_topic.get(topic).filter(|error| error.expires_at_ms > now_ms)?;
        Some(&error.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_forgotten_when_its_time_is_over() {
        let mut errors = TopicCreationErrors::new(10);
        errors.put(100, 50, "a".into(), "no".to_owned());
        assert_eq!(errors.get(149, &"a".into()), Some("no"));
        assert_eq!(errors.get(150, &"a".into()), None);
        assert_eq!(errors.get(149, &"b".into()), None);
        errors.put(149, 50, "a".into(), "still no".to_owned());
        assert_eq!(errors.get(198, &"a".into()), Some("still no"));
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut errors = TopicCreationErrors::new(2);
        errors.put(0, 30, "a".into(), "1".to_owned());
        errors.put(0, 10, "b".into(), "2".to_owned());
        errors.put(0, 20, "c".into(), "3".to_owned());
        assert_eq!(errors.get(0, &"b".into()), None, "it would have expired first");
        assert_eq!((errors.get(0, &"a".into()), errors.get(0, &"c".into())), (Some("1"), Some("3")));
        errors.put(25, 10, "d".into(), "4".to_owned());
        assert_eq!(errors.by_topic.len(), 2, "what is expired takes no room");
    }
}
