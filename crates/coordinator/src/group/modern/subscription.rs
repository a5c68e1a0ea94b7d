use bytestring::ByteString;
use rpds::RedBlackTreeMapSync;

/// Whether every member of a group reads the same topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionType {
    /// They all read the same.
    Homogeneous,
    /// Some member reads other topics than some other.
    Heterogeneous,
}

/// How many members read a topic, by the way they came to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionCount {
    /// Members that name it.
    pub by_name: usize,
    /// Regular expressions that match it; each counts once, whoever uses it.
    pub by_regex: usize,
}

/// The topics that a group reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribedTopics {
    counts: RedBlackTreeMapSync<ByteString, SubscriptionCount>,
}

impl Default for SubscribedTopics {
    fn default() -> Self {
        Self { counts: RedBlackTreeMapSync::new_sync() }
    }
}

impl SubscribedTopics {
    /// The topics, ordered by name.
    pub fn names(&self) -> impl Iterator<Item = &ByteString> {
        self.counts.keys()
    }

    /// How many topics there are.
    pub fn len(&self) -> usize {
        self.counts.size()
    }

    /// Whether the group reads nothing.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether the group reads this topic.
    pub fn contains(&self, topic: &str) -> bool {
        self.counts.contains_key(topic)
    }

    /// How often the topic is read.
    pub fn count(&self, topic: &str) -> SubscriptionCount {
        self.counts.get(topic).copied().unwrap_or_default()
    }

    /// One more member names these topics.
    pub fn add_names<'a>(&mut self, topics: impl IntoIterator<Item = &'a ByteString>) {
        for topic in topics {
            self.change(topic, |count| count.by_name += 1);
        }
    }

    /// One member less names these topics.
    pub fn remove_names<'a>(&mut self, topics: impl IntoIterator<Item = &'a ByteString>) {
        for topic in topics {
            self.change(topic, |count| count.by_name = count.by_name.saturating_sub(1));
        }
    }

    /// One more regular expression matches these topics.
    pub fn add_regex<'a>(&mut self, topics: impl IntoIterator<Item = &'a ByteString>) {
        for topic in topics {
            self.change(topic, |count| count.by_regex += 1);
        }
    }

    /// One regular expression less matches these topics.
    pub fn remove_regex<'a>(&mut self, topics: impl IntoIterator<Item = &'a ByteString>) {
        for topic in topics {
            self.change(topic, |count| count.by_regex = count.by_regex.saturating_sub(1));
        }
    }

    /// Whether so many members, none of which uses a regular expression, all read the same.
    pub fn subscription_type(&self, num_members: usize) -> SubscriptionType {
        self.all_or_heterogeneous(|count| count.by_name == num_members)
    }

    /// Whether so many members all read the same. `regex_members` tells how many use each of the
    /// group's regular expressions.
    pub fn subscription_type_with_regexes(
        &self,
        regex_members: impl IntoIterator<Item = usize>,
        num_members: usize,
    ) -> SubscriptionType {
        match regex_members.into_iter().next() {
            None => self.subscription_type(num_members),
            // Everybody uses the one expression, and nobody names topics beside it.
            Some(count) if count == num_members => {
                self.all_or_heterogeneous(|count| count.by_regex == 1 && count.by_name == 0)
            }
            Some(_) => SubscriptionType::Heterogeneous,
        }
    }

    fn all_or_heterogeneous(&self, same: impl Fn(&SubscriptionCount) -> bool) -> SubscriptionType {
        match self.counts.values().all(same) {
            true => SubscriptionType::Homogeneous,
            false => SubscriptionType::Heterogeneous,
        }
    }

    fn change(&mut self, topic: &ByteString, change: impl FnOnce(&mut SubscriptionCount)) {
        let mut count = self.count(topic);
        change(&mut count);
        match count {
            SubscriptionCount { by_name: 0, by_regex: 0 } => {
                self.counts.remove_mut(topic);
            }
            count => self.counts.insert_mut(topic.clone(), count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&'static str]) -> Vec<ByteString> {
        names.iter().map(|name| ByteString::from_static(name)).collect()
    }

    #[test]
    fn a_topic_is_read_as_long_as_somebody_reads_it() {
        let mut subscribed = SubscribedTopics::default();
        subscribed.add_names(&topics(&["a", "b"]));
        subscribed.add_names(&topics(&["a"]));
        subscribed.add_regex(&topics(&["b"]));
        subscribed.remove_names(&topics(&["a", "b"]));
        assert!(subscribed.contains("a") && subscribed.contains("b"));
        subscribed.remove_names(&topics(&["a"]));
        subscribed.remove_regex(&topics(&["b"]));
        assert!(subscribed.is_empty());
        subscribed.remove_names(&topics(&["a"]));
        assert!(subscribed.is_empty(), "records that take away too often do no harm");
    }

    #[test]
    fn same_topics_make_a_homogeneous_group() {
        let mut subscribed = SubscribedTopics::default();
        assert_eq!(subscribed.subscription_type(3), SubscriptionType::Homogeneous);
        subscribed.add_names(&topics(&["a"]));
        assert_eq!(subscribed.subscription_type(1), SubscriptionType::Homogeneous);
        assert_eq!(subscribed.subscription_type(2), SubscriptionType::Heterogeneous);
    }

    #[test]
    fn one_expression_of_all_members_is_homogeneous() {
        let mut subscribed = SubscribedTopics::default();
        subscribed.add_regex(&topics(&["a", "b"]));
        let of = |subscribed: &SubscribedTopics, counts: &[usize], members| {
            subscribed.subscription_type_with_regexes(counts.iter().copied(), members)
        };
        assert_eq!(of(&subscribed, &[2], 2), SubscriptionType::Homogeneous);
        assert_eq!(of(&subscribed, &[1, 1], 2), SubscriptionType::Heterogeneous);
        assert_eq!(of(&subscribed, &[2], 3), SubscriptionType::Heterogeneous);
        subscribed.add_names(&topics(&["a"]));
        assert_eq!(of(&subscribed, &[2], 2), SubscriptionType::Heterogeneous);
    }
}
