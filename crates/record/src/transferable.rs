use std::io;

use ottla_common::{TransferSource, TransferableRecords};

use crate::MemoryRecords;

impl TransferableRecords for MemoryRecords {
    fn size_in_bytes(&self) -> usize {
        self.bytes().len()
    }

    fn source(&self) -> TransferSource<'_> {
        TransferSource::Memory(self.bytes())
    }

    fn read_at(&self, position: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes().get(position..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}
