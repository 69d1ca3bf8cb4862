//! From a definition to a program.

use crate::definition::ViewDefinition;
use crate::error::{Code, ViewError, ViewErrors};
use crate::view::{CompileOptions, View};

pub(crate) fn compile_view(definition: &ViewDefinition, _options: &CompileOptions) -> Result<View, ViewErrors> {
    let error = ViewError {
        code: Code::Unsupported,
        location: "ViewDefinition".to_owned(),
        column: None,
        problem: "views are not compiled yet".to_owned(),
        remedy: "wait".to_owned(),
    };
    Err(ViewErrors { view: definition.name.clone(), errors: vec![error] })
}
