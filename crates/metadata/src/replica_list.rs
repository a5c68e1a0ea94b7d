//! Lists of brokers as small as they mostly are: a cluster has them by the hundred thousand.

use std::fmt;
use std::ops::Deref;

/// So many fit without memory of their own: the replication factor that most use.
const INLINE: usize = 3;

/// Brokers of a partition, of which there are mostly few.
#[derive(Clone)]
pub struct ReplicaList(Few);

#[derive(Clone)]
enum Few {
    Inline { len: u8, ids: [i32; INLINE] },
    Many(Box<Heap>),
}

/// Brokers of a partition in a list that is mostly empty.
#[derive(Clone, Default)]
pub struct RareReplicaList(Option<Box<Heap>>);

/// Behind a thin pointer, so that lists that need no memory of their own stay small.
#[derive(Clone)]
struct Heap(Box<[i32]>);

impl Default for ReplicaList {
    fn default() -> Self {
        Self(Few::Inline { len: 0, ids: [0; INLINE] })
    }
}

impl From<&[i32]> for ReplicaList {
    fn from(list: &[i32]) -> Self {
        if list.len() > INLINE {
            return Self(Few::Many(Box::new(Heap(list.into()))));
        }
        let mut ids = [0; INLINE];
        ids[..list.len()].copy_from_slice(list);
        Self(Few::Inline { len: list.len() as u8, ids })
    }
}

impl From<&[i32]> for RareReplicaList {
    fn from(list: &[i32]) -> Self {
        Self((!list.is_empty()).then(|| Box::new(Heap(list.into()))))
    }
}

impl Deref for ReplicaList {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        match &self.0 {
            Few::Inline { len, ids } => &ids[..usize::from(*len)],
            Few::Many(heap) => &heap.0,
        }
    }
}

impl Deref for RareReplicaList {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        self.0.as_ref().map_or(&[], |heap| &heap.0)
    }
}

macro_rules! behave_like_slices {
    ($($list:ident),*) => {$(
        impl From<Vec<i32>> for $list {
            fn from(list: Vec<i32>) -> Self {
                list.as_slice().into()
            }
        }

        impl fmt::Debug for $list {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl PartialEq for $list {
            fn eq(&self, other: &Self) -> bool {
                **self == **other
            }
        }

        impl Eq for $list {}

        impl PartialEq<Vec<i32>> for $list {
            fn eq(&self, other: &Vec<i32>) -> bool {
                **self == **other
            }
        }

        impl PartialEq<$list> for Vec<i32> {
            fn eq(&self, other: &$list) -> bool {
                **self == **other
            }
        }

        impl<const N: usize> PartialEq<[i32; N]> for $list {
            fn eq(&self, other: &[i32; N]) -> bool {
                **self == *other
            }
        }

        impl<'a> IntoIterator for &'a $list {
            type Item = &'a i32;
            type IntoIter = std::slice::Iter<'a, i32>;

            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }
    )*};
}

behave_like_slices!(ReplicaList, RareReplicaList);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_any_length_keep_what_they_are_given() {
        for len in 0..6 {
            let ids: Vec<i32> = (7..7 + len).collect();
            assert_eq!(ReplicaList::from(ids.clone()), ids);
            assert_eq!(RareReplicaList::from(ids.clone()), ids);
            assert_eq!(format!("{:?}", ReplicaList::from(ids.clone())), format!("{ids:?}"));
        }
        assert_ne!(ReplicaList::from(vec![1]), ReplicaList::from(vec![1, 0]));
    }

    #[test]
    fn lists_are_small() {
        assert_eq!(size_of::<ReplicaList>(), 16);
        assert_eq!(size_of::<RareReplicaList>(), 8);
    }
}
