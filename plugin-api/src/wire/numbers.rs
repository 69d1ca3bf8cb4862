//! The closed lists as numbers. An unknown number has the meaning that the header gives it.

use lakefeed_plugin_abi as abi;

use crate::{AckMode, Category, CheckLevel, Durability, Ordering, Retry, Source};

impl Category {
    /// Its number in the C ABI.
    #[must_use]
    pub fn number(self) -> u32 {
        position(&Self::ALL, &self)
    }

    /// The category of a number; [`Category::Internal`] for an unknown one.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        at(&Self::ALL, number).unwrap_or(Self::Internal)
    }
}

impl Retry {
    /// Its number in the C ABI.
    #[must_use]
    pub fn number(self) -> u32 {
        position(&Self::ALL, &self)
    }

    /// The class of a number; [`Retry::Backoff`] for an unknown one.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        at(&Self::ALL, number).unwrap_or(Self::Backoff)
    }
}

impl CheckLevel {
    const ALL: [Self; 4] = [Self::Config, Self::Connect, Self::Permissions, Self::WriteProbe];

    /// Its number in the C ABI.
    #[must_use]
    pub fn number(self) -> u32 {
        position(&Self::ALL, &self)
    }

    /// The level of a number; [`CheckLevel::Config`], which does least, for an unknown one.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        at(&Self::ALL, number).unwrap_or(Self::Config)
    }
}

/// Counted from 1, so that a field somebody forgot to fill stands for nothing.
fn position<T: PartialEq>(all: &[T], value: &T) -> u32 {
    all.iter()
        .position(|known| known == value)
        .map_or(0, |index| index as u32 + 1)
}

fn at<T: Copy>(all: &[T], number: u32) -> Option<T> {
    all.get((number as usize).checked_sub(1)?).copied()
}

pub(super) fn of_durability(durability: Durability) -> u32 {
    match durability {
        Durability::Durable => abi::DURABILITY_DURABLE,
        Durability::Accepted => abi::DURABILITY_ACCEPTED,
    }
}

pub(super) fn durability(number: u32) -> Durability {
    if number == abi::DURABILITY_DURABLE {
        Durability::Durable
    } else {
        Durability::Accepted
    }
}

pub(super) fn of_ordering(ordering: Ordering) -> u32 {
    match ordering {
        Ordering::None => 1,
        Ordering::PerKey => 2,
        Ordering::Total => 3,
    }
}

pub(super) fn ordering(number: u32) -> Ordering {
    match number {
        1 => Ordering::None,
        2 => Ordering::PerKey,
        _ => Ordering::Total,
    }
}

pub(super) fn of_ack_mode(mode: AckMode) -> u32 {
    match mode {
        AckMode::OnReturn => 1,
        AckMode::Watermark => 2,
    }
}

pub(super) fn ack_mode(number: u32) -> AckMode {
    if number == 2 {
        AckMode::Watermark
    } else {
        AckMode::OnReturn
    }
}

pub(super) fn of_source(source: Source) -> u32 {
    match source {
        Source::Live => 1,
        Source::InitialExport => 2,
    }
}

pub(super) fn source(number: u32) -> Source {
    if number == 2 {
        Source::InitialExport
    } else {
        Source::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_leads_back_and_an_unknown_one_to_the_safe_answer() {
        for category in Category::ALL {
            assert_eq!(Category::from_number(category.number()), category);
        }
        for retry in Retry::ALL {
            assert_eq!(Retry::from_number(retry.number()), retry);
        }
        for unknown in [0, 99, u32::MAX] {
            assert_eq!(Category::from_number(unknown), Category::Internal);
            assert_eq!(Retry::from_number(unknown), Retry::Backoff);
            assert_eq!(CheckLevel::from_number(unknown), CheckLevel::Config);
            assert_eq!(durability(unknown), Durability::Accepted);
            assert_eq!(ordering(unknown), Ordering::Total);
        }
    }
}
