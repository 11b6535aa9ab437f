/*!
A zip archive of stored entries, as `torch.save` writes it: the central directory, and entries where they lie.

Every offset and size is checked against the file before it is used.
*/

use std::collections::BTreeMap;
use std::ops::Range;

/// The signatures of the records, little-endian.
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;

/// Bytes of the last record without its comment, and the longest comment.
const END_SIZE: usize = 22;
const MOST_COMMENT: usize = u16::MAX as usize;

/// Entries of an archive by their names.
#[derive(Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: BTreeMap<String, Range<usize>>,
}

/// Whether a file begins as a zip archive does.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(&LOCAL.to_le_bytes())
}

impl<'a> Archive<'a> {
    /// Reads the central directory.
    ///
    /// # Errors
    /// An archive that is truncated or damaged, or has compressed entries.
    pub fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let (count, start) = central_directory(bytes)?;
        let mut entries = BTreeMap::new();
        let mut at = start;
        // The count is not trusted with memory: each entry needs bytes of its own.
        for _ in 0..count {
            let (name, data, next) = entry(bytes, at)?;
            if let Some(data) = data {
                entries.insert(name, data);
            }
            at = next;
        }
        Ok(Archive { bytes, entries })
    }

    /// Name and bytes of the only entry whose name ends with `/NAME`, or is `NAME`.
    pub fn find(&self, name: &str) -> Option<(&str, &'a [u8])> {
        let ends = |(full, _): &(&String, &Range<usize>)| {
            let before = full.strip_suffix(name);
            before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        let mut found = self.entries.iter().filter(ends);
        let (full, data) = found.next()?;
        (found.next().is_none()).then(|| (&full[..], &self.bytes[data.clone()]))
    }

    /// Bytes of the entry of this name.
    pub fn entry(&self, name: &str) -> Option<&'a [u8]> {
        let data = self.entries.get(name)?;
        Some(&self.bytes[data.clone()])
    }
}

/// Number of entries, and where the central directory begins.
fn central_directory(bytes: &[u8]) -> Result<(u64, usize), String> {
    let truncated = || "it has no directory at its end; it may be truncated".to_string();
    let last = bytes.len().checked_sub(END_SIZE).ok_or_else(truncated)?;
    let first = last.saturating_sub(MOST_COMMENT);
    let end = (first..=last)
        .rev()
        .find(|&at| u32_at(bytes, at) == Some(END));
    let end = end.ok_or_else(truncated)?;
    let (count, start) = (number(bytes, end + 10, 2), number(bytes, end + 16, 4));
    let (mut count, mut start) = count.zip(start).ok_or_else(truncated)?;
    let locator = end
        .checked_sub(20)
        .filter(|&at| u32_at(bytes, at) == Some(LOCATOR64));
    if let Some(locator) = locator {
        let end64 = number(bytes, locator + 8, 8).and_then(|at| usize::try_from(at).ok());
        let end64 = end64.filter(|&at| u32_at(bytes, at) == Some(END64));
        let end64 = end64.ok_or_else(truncated)?;
        let wide = number(bytes, end64 + 32, 8).zip(number(bytes, end64 + 48, 8));
        (count, start) = wide.ok_or_else(truncated)?;
    }
    let start = usize::try_from(start).map_err(|_| truncated())?;
    Ok((count, start))
}

/// Name, data, which a folder has none of, and end of the entry of the central directory that begins at `at`.
fn entry(bytes: &[u8], at: usize) -> Result<(String, Option<Range<usize>>, usize), String> {
    let damaged = || "its directory is damaged".to_string();
    let field = |offset: usize, size: usize| {
        let place = at.checked_add(offset)?;
        number(bytes, place, size)
    };
    if u32_at(bytes, at) != Some(CENTRAL) {
        return Err(damaged());
    }
    let short = |offset: usize| {
        field(offset, 2)
            .map(|value| value as usize)
            .ok_or_else(damaged)
    };
    let (method, name, extra, comment) = (short(10)?, short(28)?, short(30)?, short(32)?);
    let name_at = at + 46;
    let extra_at = name_at + name;
    let name = bytes.get(name_at..extra_at).ok_or_else(damaged)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let extra = bytes.get(extra_at..extra_at + extra).ok_or_else(damaged)?;
    let sizes = [(24, 4), (20, 4), (42, 4)].map(|(offset, size)| field(offset, size));
    let [Some(size), Some(stored), Some(local)] = sizes else {
        return Err(damaged());
    };
    let [size, stored, local] = wide([size, stored, local], extra).ok_or_else(damaged)?;
    let next = extra_at + extra.len() + comment;
    if name.ends_with('/') {
        return Ok((name, None, next));
    }
    if method != 0 || size != stored {
        return Err(format!(
            "its entry {name} is compressed, which torch.save does not do; write the file again with torch.save"
        ));
    }
    let data = stored_data(bytes, local, size)
        .ok_or_else(|| format!("its entry {name} is not whole; it may be truncated"))?;
    Ok((name, Some(data), next))
}

/// The sizes and the offset of an entry; those that are too large for their fields are in the extra field of zip64.
fn wide(fields: [u64; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    const WIDE: u64 = u32::MAX as u64;
    if fields.iter().all(|&field| field < WIDE) {
        return Some(fields);
    }
    loop {
        let (tag, size) = number(extra, 0, 2).zip(number(extra, 2, 2))?;
        let body = extra.get(4..4 + size as usize)?;
        extra = &extra[4 + size as usize..];
        if tag != 1 {
            continue;
        }
        let mut at = 0;
        let mut widened = fields;
        for field in widened.iter_mut().filter(|field| **field == WIDE) {
            *field = number(body, at, 8)?;
            at += 8;
        }
        return Some(widened);
    }
}

/// Where the data of an entry lies, whose local header is at `local`.
fn stored_data(bytes: &[u8], local: u64, size: u64) -> Option<Range<usize>> {
    let local = usize::try_from(local).ok()?;
    if u32_at(bytes, local) != Some(LOCAL) {
        return None;
    }
    let name = number(bytes, local + 26, 2)? as usize;
    let extra = number(bytes, local + 28, 2)? as usize;
    let start = local + 30 + name + extra;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (end <= bytes.len()).then_some(start..end)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number(bytes, at, 4).map(|value| value as u32)
}

/// A little-endian number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    let digits = bytes.iter().rev();
    Some(digits.fold(0, |value, &byte| value << 8 | u64::from(byte)))
}
