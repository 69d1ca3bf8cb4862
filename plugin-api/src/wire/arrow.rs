//! Rows and schemas, through the Arrow C data interface.
//!
//! A batch crosses as a struct column without nulls. Exported memory is released by whoever receives it, by the
//! exporter's own function; nothing is copied.

use std::sync::Arc;

use arrow::array::{Array, StructArray};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow::record_batch::RecordBatch;
use lakefeed_plugin_abi::{AbiArrowArray, AbiArrowSchema};

use super::broken;
use crate::PluginError;

const _: () = {
    assert!(size_of::<AbiArrowArray>() == size_of::<FFI_ArrowArray>());
    assert!(size_of::<AbiArrowSchema>() == size_of::<FFI_ArrowSchema>());
};

/// A batch on its way across, released when dropped unless the far side has taken it.
#[derive(Debug)]
pub struct ExportedArray(FFI_ArrowArray);

impl ExportedArray {
    /// Shares the batch's buffers.
    #[must_use]
    pub fn new(batch: RecordBatch) -> Self {
        Self(FFI_ArrowArray::new(&StructArray::from(batch).to_data()))
    }

    /// What to hand over.
    pub fn as_mut_ptr(&mut self) -> *mut AbiArrowArray {
        (&raw mut self.0).cast()
    }
}

/// A schema on its way across, released when dropped unless the far side has taken it.
#[derive(Debug)]
pub struct ExportedSchema(FFI_ArrowSchema);

impl ExportedSchema {
    /// Describes the schema. Fails for types that Arrow's C interface cannot describe.
    pub fn new(schema: &Schema) -> Result<Self, PluginError> {
        FFI_ArrowSchema::try_from(schema)
            .map(Self)
            .map_err(|error| unreadable("schema", &error))
    }

    /// What to hand over.
    pub fn as_mut_ptr(&mut self) -> *mut AbiArrowSchema {
        (&raw mut self.0).cast()
    }
}

/// Takes over a schema. The struct is left released, whether it could be read or not.
///
/// # Safety
/// The pointer is null, or points to a schema by the rules of Arrow's C interface, and the caller gives it away.
pub unsafe fn take_schema(schema: *mut AbiArrowSchema) -> Result<SchemaRef, PluginError> {
    if schema.is_null() {
        return Err(broken("the schema is null"));
    }
    // SAFETY: the two structs are one layout (asserted above); the caller gives it away.
    let schema = unsafe { FFI_ArrowSchema::from_raw(schema.cast()) };
    // SAFETY: the struct is Arrow's, which keeps `release` where the C interface has it.
    if unsafe { (*(&raw const schema).cast::<AbiArrowSchema>()).release }.is_none() {
        return Err(broken("the schema has been released"));
    }
    Schema::try_from(&schema)
        .map(Arc::new)
        .map_err(|error| unreadable("schema", &error))
}

/// Takes over the rows of a batch that has this schema. The struct is left released, whether it could be read or not.
///
/// Checks what is cheap (counts, lengths, no null rows), and every value and offset in builds with debug assertions.
///
/// # Safety
/// The pointer is null, or points to an array by the rules of Arrow's C interface, and the caller gives it away.
pub unsafe fn take_batch(array: *mut AbiArrowArray, schema: &SchemaRef) -> Result<RecordBatch, PluginError> {
    if array.is_null() {
        return Err(broken("the array is null"));
    }
    // SAFETY: the two structs are one layout (asserted above); the caller gives it away.
    let array = unsafe { FFI_ArrowArray::from_raw(array.cast()) };
    // SAFETY: one layout, and only plain fields are read.
    let fields = unsafe { &*(&raw const array).cast::<AbiArrowArray>() };
    if fields.release.is_none() {
        return Err(broken("the array has been released"));
    }
    let columns = schema.fields().len();
    if fields.n_children != columns as i64 || fields.length < 0 || fields.offset < 0 {
        let found = fields.n_children;
        return Err(broken(format!(
            "the batch has {found} columns, and its schema {columns}"
        )));
    }
    if fields.length == 0 {
        // An empty slice of text keeps an offset into bytes that the importer no longer sees.
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    // SAFETY: the caller promises that it keeps Arrow's rules, for the type that the schema says.
    let data = unsafe { from_ffi_and_data_type(array, DataType::Struct(schema.fields().clone())) };
    let mut data = data.map_err(|error| unreadable("batch", &error))?;
    // Foreign buffers need not lie where this build's vectors of numbers must.
    data.align_buffers();
    if cfg!(debug_assertions) {
        data.validate_full()
            .map_err(|error| unreadable("batch", &error))?;
    }
    let rows = StructArray::from(data);
    if rows.null_count() > 0 {
        return Err(broken("the batch has rows that are null as a whole"));
    }
    let (_, columns, _) = rows.clone().into_parts();
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| unreadable("batch", &error))
}

/// Releases an array that cannot be read. The struct is left released.
///
/// # Safety
/// As for [`take_batch`].
pub unsafe fn release_array(array: *mut AbiArrowArray) {
    if !array.is_null() {
        // SAFETY: the two structs are one layout (asserted above); the caller gives it away.
        drop(unsafe { FFI_ArrowArray::from_raw(array.cast()) });
    }
}

/// Arrow's own words may quote values: they are detail.
fn unreadable(what: &str, error: &ArrowError) -> PluginError {
    broken(format!("the {what} is not valid Arrow data")).detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};

    fn batch() -> RecordBatch {
        let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c"), Some("d")]));
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2), None, Some(4)]));
        RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("n", numbers, true)]).unwrap()
    }

    fn across(batch: RecordBatch) -> RecordBatch {
        let mut schema = ExportedSchema::new(&batch.schema()).unwrap();
        let mut array = ExportedArray::new(batch);
        // SAFETY: both were exported above and are given away.
        unsafe {
            let schema = take_schema(schema.as_mut_ptr()).unwrap();
            take_batch(array.as_mut_ptr(), &schema).unwrap()
        }
    }

    #[test]
    fn a_batch_crosses_without_copy_whole_sliced_or_empty() {
        let whole = batch();
        let address = |batch: &RecordBatch| batch.column(1).to_data().buffers()[0].as_ptr();
        assert_eq!(address(&across(whole.clone())), address(&whole));
        for cut in [whole.clone(), whole.slice(1, 2), whole.slice(4, 0)] {
            assert_eq!(across(cut.clone()), cut);
        }
    }

    #[test]
    fn a_batch_with_another_number_of_columns_is_refused_and_released() {
        let other = RecordBatch::try_from_iter([("id", batch().column(0).clone())])
            .unwrap()
            .schema();
        let mut array = ExportedArray::new(batch());
        // SAFETY: exported above and given away.
        let error = unsafe { take_batch(array.as_mut_ptr(), &other) }.unwrap_err();
        assert_eq!(error.message, "the batch has 2 columns, and its schema 1");
        // SAFETY: the pointer is good; what it points to is empty by now.
        let again = unsafe { take_batch(array.as_mut_ptr(), &other) }.unwrap_err();
        assert_eq!(again.message, "the array has been released");
    }
}
