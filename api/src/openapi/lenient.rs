//! Requests may write some values otherwise than answers do, and the description says so: a moment as Unix seconds, too, and
//! hexadecimal digits in upper case.

use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OneOfBuilder, OpenApi, Ref, RefOr, SchemaFormat,
    path::{Operation, PathItem},
    schema::{Schema, Type},
};

/// What stands in answers, and what takes its place in parameters.
const PAIRS: [(&str, &str); 2] = [("Instant", "Moment"), ("Hash", "HashOrUpperCase")];

/// Says of all parameters what they take.
pub(super) fn describe(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(describe_operation);
    }
    let components = document.components.get_or_insert_default();
    components.schemas.insert("Moment".into(), moment());
    components.schemas.insert("HashOrUpperCase".into(), hash());
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten()
}

fn describe_operation(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let Some(RefOr::Ref(schema)) = &mut parameter.schema else { continue };
        let named = schema.ref_location.rsplit('/').next().unwrap_or_default();
        if let Some((_, taken)) = PAIRS.into_iter().find(|(name, _)| *name == named) {
            *schema = Ref::from_schema_name(taken);
        }
    }
}

fn moment() -> RefOr<Schema> {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("RFC 3339, with any offset."));
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).description(Some("Unix seconds."));
    OneOfBuilder::new().item(text).item(seconds).description(Some("A moment.")).into()
}

fn hash() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9a-fA-F]{64}$"))
        .description(Some("32 bytes as 64 hexadecimal digits."))
        .into()
}
