//! Reading and writing fields at offsets, without a panic for any offset.

/// The `N` octets at `at`.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// The octet at `at`.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The 16 bit number at `at`, in network byte order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

/// The 32 bit number at `at`, in network byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

/// Writes `field` at `at`; does nothing where it would not fit (the callers
/// have checked the lengths when they parsed).
pub(super) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    let place = bytes
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..field.len()));
    debug_assert!(place.is_some(), "a field was written outside of its packet");
    if let Some(place) = place {
        place.copy_from_slice(field);
    }
}
