/// Where a member stands on its way to its target assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It has everything that the epoch it is in gives it.
    Stable,
    /// It was asked to give partitions up and has not said that it did.
    UnrevokedPartitions,
    /// Other members still have partitions that are to be its own.
    UnreleasedPartitions,
    /// A state of a newer release, found in the log.
    Unknown,
}

impl MemberState {
    /// The number in the record.
    pub fn value(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    /// The state of this number.
    pub fn from_value(value: i8) -> Self {
        match value {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_kafkas_numbers() {
        for value in i8::MIN..=i8::MAX {
            let state = MemberState::from_value(value);
            assert_eq!(state == MemberState::Unknown, !(0..=2).contains(&value));
            if state != MemberState::Unknown {
                assert_eq!(state.value(), value);
            }
        }
    }
}
