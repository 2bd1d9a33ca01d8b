//! Asking for memory early.

/// Has the cache line at which this value begins be brought near; nothing else
/// happens.
#[inline]
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "the standard library has no safe prefetch; without it a batch over a million sessions takes longer (docs/performance.md)"
)]
pub(super) fn prefetch<T>(value: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing and cannot fault; the address is that of a
    // reference, and SSE is part of x86-64.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
}

/// Elsewhere the processor is left to itself.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn prefetch<T>(_: &T) {}
