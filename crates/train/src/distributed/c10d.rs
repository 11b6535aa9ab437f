/*!
libtorch's distributed engine, c10d: a store of keys that all processes reach, and sums and broadcasts of tensors over Gloo.
*/

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use tch::Tensor;
use torch_sys::C_tensor;

use carousel::error::{Error, Result};

/// Most bytes of a value in the store.
const VALUE_BYTES: usize = 256;

#[repr(C)]
struct RawGroup {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn c10d_free(text: *mut c_char);
    fn c10d_store(
        host: *const c_char,
        port: u16,
        holds: bool,
        prefix: *const c_char,
        join_ms: i64,
        out: *mut *mut RawGroup,
    ) -> *mut c_char;
    fn c10d_agree(
        group: *mut RawGroup,
        key: *const c_char,
        value: *const c_char,
        told: *mut c_char,
        length: usize,
    ) -> *mut c_char;
    fn c10d_add(group: *mut RawGroup, key: *const c_char, by: i64, out: *mut i64) -> *mut c_char;
    fn c10d_connect(
        group: *mut RawGroup,
        rank: c_int,
        world: c_int,
        local: *const c_char,
        join_ms: i64,
        timeout_ms: i64,
    ) -> *mut c_char;
    fn c10d_begin_sum(group: *mut RawGroup, tensor: *mut C_tensor) -> *mut c_char;
    fn c10d_begin_broadcast(group: *mut RawGroup, tensor: *mut C_tensor) -> *mut c_char;
    fn c10d_wait(group: *mut RawGroup, ms: i64, done: *mut c_int) -> *mut c_char;
    fn c10d_destroy(group: *mut RawGroup);
}

/// A store, and the processes that are connected through it.
pub struct Group(*mut RawGroup);

// SAFETY: nothing of it belongs to the thread that made it.
unsafe impl Send for Group {}
// SAFETY: the store locks itself for each call. What is summed and sent is begun and waited for by the one thread that has the
// `World`, which is not `Sync`.
unsafe impl Sync for Group {}

/// Where the store is.
pub struct StorePlace {
    /// Host and port.
    pub address: (String, u16),
    /// Whether this process holds it.
    pub holds: bool,
    /// What its keys begin with.
    pub prefix: String,
    /// Longest time to wait for it, in milliseconds.
    pub join_ms: i64,
}

impl Group {
    /// Connects to the store, or holds it.
    ///
    /// # Errors
    /// A store that does not answer in time; a port that is in use.
    pub fn of_store(place: &StorePlace) -> Result<Self> {
        let (host, prefix) = (text(&place.address.0)?, text(&place.prefix)?);
        let (port, holds) = (place.address.1, place.holds);
        let mut group = ptr::null_mut();
        // SAFETY: both texts end in a zero and outlive the call, which writes a group or returns an error.
        told(unsafe {
            c10d_store(
                host.as_ptr(),
                port,
                holds,
                prefix.as_ptr(),
                place.join_ms,
                &mut group,
            )
        })?;
        Ok(Group(group))
    }

    /// The value of a key, which is this one if it had none.
    ///
    /// # Errors
    /// A store that does not answer; a value that is too long.
    pub fn agree(&self, key: &str, value: &str) -> Result<String> {
        let (key, value) = (text(key)?, text(value)?);
        let mut found: [c_char; VALUE_BYTES] = [0; VALUE_BYTES];
        // SAFETY: the texts end in a zero; at most VALUE_BYTES are written, the last of them a zero.
        told(unsafe {
            c10d_agree(
                self.0,
                key.as_ptr(),
                value.as_ptr(),
                found.as_mut_ptr(),
                VALUE_BYTES,
            )
        })?;
        // SAFETY: what was written ends in a zero within the array.
        let found = unsafe { CStr::from_ptr(found.as_ptr()) };
        Ok(found.to_string_lossy().into_owned())
    }

    /// Adds to the number of a key, which begins with 0, and returns it.
    ///
    /// # Errors
    /// A store that does not answer.
    pub fn add(&self, key: &str, by: i64) -> Result<i64> {
        let key = text(key)?;
        let mut sum = 0;
        // SAFETY: the text ends in a zero, and the number outlives the call.
        told(unsafe { c10d_add(self.0, key.as_ptr(), by, &mut sum) })?;
        Ok(sum)
    }

    /// Connects this rank to the others; `local` is this machine's address towards them, or empty. Waits for them, and later
    /// for each sum, at most so many milliseconds.
    ///
    /// # Errors
    /// Others that do not come in time.
    pub fn connect(
        &self,
        (rank, ranks): (usize, usize),
        local: &str,
        [join_ms, timeout_ms]: [i64; 2],
    ) -> Result<()> {
        let local = text(local)?;
        let (rank, ranks) = (rank as c_int, ranks as c_int);
        // SAFETY: the text ends in a zero and outlives the call.
        told(unsafe { c10d_connect(self.0, rank, ranks, local.as_ptr(), join_ms, timeout_ms) })
    }

    /// Begins to sum a tensor over the ranks, in place: [`Group::wait`] has to follow.
    ///
    /// # Errors
    /// A rank that has ended.
    pub fn begin_sum(&self, tensor: &mut Tensor) -> Result<()> {
        // SAFETY: the work has a reference of its own to the tensor's memory, which is borrowed mutably until the wait.
        told(unsafe { c10d_begin_sum(self.0, tensor.as_mut_ptr()) })
    }

    /// Begins to give every rank the tensor of rank 0, in place: [`Group::wait`] has to follow.
    ///
    /// # Errors
    /// A rank that has ended.
    pub fn begin_broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        // SAFETY: as for a sum.
        told(unsafe { c10d_begin_broadcast(self.0, tensor.as_mut_ptr()) })
    }

    /// Waits for what was begun, at most so long. Returns whether it is done.
    ///
    /// # Errors
    /// A rank that has ended.
    pub fn wait(&self, time: Duration) -> Result<bool> {
        let mut done = 0;
        // SAFETY: something was begun, and the number outlives the call.
        told(unsafe { c10d_wait(self.0, time.as_millis() as i64, &mut done) })?;
        Ok(done != 0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: the group was made by c10d_store, and nothing else frees it.
        unsafe { c10d_destroy(self.0) }
    }
}

/// A text with a zero at its end.
fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::usage(format!("{text:?} has a zero byte in it")))
}

/// An error's text, as an error.
fn told(error: *mut c_char) -> Result<()> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a text that is not null ends in a zero, and is freed here alone.
    let message = unsafe { CStr::from_ptr(error) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: as above; the message is a copy.
    unsafe { c10d_free(error) };
    Err(Error::new(
        message.lines().next().unwrap_or_default().to_string(),
    ))
}
