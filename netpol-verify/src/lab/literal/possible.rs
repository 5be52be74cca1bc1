//! What the specification leaves open: everything that may be, each with the reason why.

use super::Undefined;

/// What is, as far as anybody can tell, and what else may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Possible<T> {
    pub(super) first: T,
    pub(super) others: Vec<(T, Undefined)>,
}

impl<T> Possible<T> {
    /// One thing, and nothing else.
    pub(super) const fn sure(first: T) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }

    /// What follows from each.
    pub(super) fn then<U>(self, next: impl Fn(T) -> Possible<U>) -> Possible<U> {
        let mut all = next(self.first);
        for (other, why) in self.others {
            let following = next(other);
            all.others.push((following.first, why));
            all.others.extend(following.others);
        }
        all
    }
}

/// Whether something matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    No,
    Perhaps(Undefined),
    Yes,
}

impl Match {
    pub(super) const fn sure(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }

    /// Whether one of them does: entries of a list are combined "using a logical OR".
    pub(super) fn any(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::No, |so_far, one| match (so_far, one) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Perhaps(why), _) | (_, Self::Perhaps(why)) => Self::Perhaps(why),
            (Self::No, Self::No) => Self::No,
        })
    }

    /// Whether it does and something else holds too.
    pub(super) const fn and(self, also: bool) -> Self {
        if also { self } else { Self::No }
    }
}
