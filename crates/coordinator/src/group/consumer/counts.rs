use bytestring::ByteString;
use rpds::RedBlackTreeMapSync;

/// How many members have something, by its name. What nobody has is not in here.
#[derive(Debug, Clone)]
pub(super) struct Counts(RedBlackTreeMapSync<ByteString, usize>);

impl Default for Counts {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl Counts {
    pub(super) fn get(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.size()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ByteString, usize)> {
        self.0.iter().map(|(name, count)| (name, *count))
    }

    pub(super) fn add(&mut self, name: &ByteString) {
        let count = self.get(name) + 1;
        self.0.insert_mut(name.clone(), count);
    }

    pub(super) fn remove(&mut self, name: &ByteString) {
        match self.get(name) {
            0 | 1 => {
                self.0.remove_mut(name);
            }
            count => self.0.insert_mut(name.clone(), count - 1),
        }
    }
}
