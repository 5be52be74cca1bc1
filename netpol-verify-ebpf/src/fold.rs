//! Folding: a connection storm costs one record and a count.

use crate::maps::{FOLDS, Fold, FoldKey};

/// `None` when the packet is folded; else record it, with how many were folded since the last record of its kind.
#[inline(always)]
pub(crate) fn fold(key: &FoldKey, now: u64, window: u64) -> Option<u64> {
    let Some(entry) = FOLDS.get_ptr_mut(key) else {
        // Should the insert fail, the next repeat is recorded too: more records, none missing.
        let _ = FOLDS.insert(
            key,
            Fold {
                window_start: now,
                count: 0,
            },
            0,
        );
        return Some(0);
    };
    // SAFETY: a value of the map stays readable until this program ends; on a race between CPUs a count may be short
    // by one, which the counters (folded against carried) show.
    unsafe {
        if now.wrapping_sub((*entry).window_start) < window {
            (*entry).count += 1;
            return None;
        }
        let folded = (*entry).count;
        (*entry).window_start = now;
        (*entry).count = 0;
        Some(folded)
    }
}
