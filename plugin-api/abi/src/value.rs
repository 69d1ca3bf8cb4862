//! Text, owned bytes, status, completion: what every call is made of.

use core::ffi::c_void;
use core::ptr;

/// Borrowed UTF-8 text or bytes. Valid for the call it is given to, unless said otherwise. Null with length 0 is empty.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiStr {
    /// The first byte.
    pub ptr: *const u8,
    /// How many bytes there are.
    pub len: usize,
}

// SAFETY: a pointer and a length; whoever reads through it keeps the rules of the call it came with.
unsafe impl Send for AbiStr {}
// SAFETY: as above; the bytes are never written through it.
unsafe impl Sync for AbiStr {}

impl AbiStr {
    /// Empty text.
    pub const EMPTY: Self = Self {
        ptr: ptr::null(),
        len: 0,
    };

    /// Lends the text.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        Self {
            ptr: text.as_ptr(),
            len: text.len(),
        }
    }

    /// Lends the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// The bytes.
    ///
    /// # Safety
    /// The pointer is null, or points to `len` bytes that stay unchanged for `'a`.
    #[must_use]
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() {
            return &[];
        }
        // SAFETY: the caller promises the range.
        unsafe { core::slice::from_raw_parts(self.ptr, self.len) }
    }

    /// The text, or nothing if it is not UTF-8.
    ///
    /// # Safety
    /// As for [`AbiStr::bytes`].
    #[must_use]
    pub unsafe fn text<'a>(self) -> Option<&'a str> {
        // SAFETY: the caller promises the range.
        core::str::from_utf8(unsafe { self.bytes() }).ok()
    }
}

impl Default for AbiStr {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Owned bytes. The receiver reads them and calls `release` exactly once; only whoever made them frees them.
#[repr(C)]
#[derive(Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiBytes {
    /// The first byte; may be null if `len` is 0.
    pub ptr: *mut u8,
    /// How many bytes there are.
    pub len: usize,
    /// The maker's note on the allocation; of no meaning to the receiver.
    pub cap: usize,
    /// Frees the bytes, given the three fields above; null if there is nothing to free.
    pub release: Option<unsafe extern "C" fn(ptr: *mut u8, len: usize, cap: usize)>,
}

impl AbiBytes {
    /// No bytes, and nothing to free.
    pub const EMPTY: Self = Self {
        ptr: ptr::null_mut(),
        len: 0,
        cap: 0,
        release: None,
    };
}

/// The call did what it was asked.
pub const STATUS_OK: u32 = 0;
/// The call failed; the other fields say how.
pub const STATUS_ERROR: u32 = 1;
/// The call was cancelled.
pub const STATUS_CANCELLED: u32 = 2;
/// The plugin panicked; its instance answers nothing but `destroy` from now on.
pub const STATUS_PANIC: u32 = 3;

/// In [`AbiStatus::flags`]: the call may have taken effect although it failed.
pub const STATUS_OUTCOME_UNKNOWN: u32 = 1;

/// In [`AbiRefusal::row`]: the row is not known.
pub const ROW_UNKNOWN: u64 = u64::MAX;

/// One change that the target refuses. Borrowed, like the status or the ack that it is part of.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiRefusal {
    /// Position of the change in the batch, from 0.
    pub change: u64,
    /// The row at fault, from 0 over the whole batch, or [`ROW_UNKNOWN`].
    pub row: u64,
    /// The column at fault; may be empty.
    pub column: AbiStr,
    /// A stable code.
    pub code: AbiStr,
    /// The reason; may quote the value, so it goes to the dead-letter store only.
    pub message: AbiStr,
}

/// How a call ended. Borrowed: valid until the function it is given to returns.
///
/// `category` and `retry` are numbers of the lists in the header. A number that the receiver does not know is read as
/// *internal* and *backoff*.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiStatus {
    /// `sizeof` this struct, as its maker knows it.
    pub size: u32,
    /// One of the `STATUS_` numbers; an unknown one is an error.
    pub status: u32,
    /// What went wrong.
    pub category: u32,
    /// What helps.
    pub retry: u32,
    /// How long to wait first, in milliseconds.
    pub retry_after_ms: u64,
    /// Bits; unknown ones are ignored.
    pub flags: u32,
    /// A remote status such as HTTP's; 0 for none.
    pub remote_status: u32,
    /// A stable code of the plugin's own.
    pub code: AbiStr,
    /// What is wrong; may be logged.
    pub message: AbiStr,
    /// Free text that may quote rows; never logged.
    pub detail: AbiStr,
    /// What the operator can do.
    pub hint: AbiStr,
    /// The remote server's own code.
    pub remote_code: AbiStr,
    /// The remote server's name for the request.
    pub request_id: AbiStr,
    /// The changes at fault; may be null if `refused_len` is 0.
    pub refused: *const AbiRefusal,
    /// How many there are.
    pub refused_len: usize,
    /// Zero.
    pub reserved: [u64; 4],
}

impl AbiStatus {
    /// All is well.
    pub const OK: Self = Self {
        size: size_of::<Self>() as u32,
        status: STATUS_OK,
        category: 0,
        retry: 0,
        retry_after_ms: 0,
        flags: 0,
        remote_status: 0,
        code: AbiStr::EMPTY,
        message: AbiStr::EMPTY,
        detail: AbiStr::EMPTY,
        hint: AbiStr::EMPTY,
        remote_code: AbiStr::EMPTY,
        request_id: AbiStr::EMPTY,
        refused: ptr::null(),
        refused_len: 0,
        reserved: [0; 4],
    };

    /// Whether the call did what it was asked.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.status == STATUS_OK
    }
}

/// Where a call's end is to be told.
///
/// `done` is called **exactly once**, on any thread, also after `cancel`, also before the function that was given the
/// completion has returned. The status is never null. The result is null unless the status is [`STATUS_OK`] and the call
/// has a result; both are borrowed, valid until `done` returns. `done` does not block and does not unwind.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiCompletion {
    /// Handed back to `done`; of no meaning to the callee.
    pub ctx: *mut c_void,
    /// Tells the end.
    pub done: Option<unsafe extern "C" fn(ctx: *mut c_void, status: *const AbiStatus, result: *const c_void)>,
}

// SAFETY: whoever makes a completion promises that `done` may be called on any thread.
unsafe impl Send for AbiCompletion {}

/// A result that is a document: UTF-8 JSON, described with the call in the header. Members that the receiver does not
/// know are ignored; absent ones have the default that is written there.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "layout-check", derive(abi_stable::StableAbi))]
pub struct AbiDocument {
    /// `sizeof` this struct, as its maker knows it.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The document.
    pub json: AbiStr,
}
