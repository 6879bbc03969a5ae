//! What an operation asks for, declared as a struct.

use crate::{AtFault, Fields};

/// A request that is made of fields, as [`request!`](crate::request) declares it.
pub trait FromFields: Sized {
    /// Takes its fields out of those that were sent: all of them, even if one is at fault.
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, AtFault>;
}

/// A request without fields.
impl FromFields for () {
    fn from_fields(_: &mut Fields<'_>) -> Result<Self, AtFault> {
        Ok(())
    }
}

/// Declares a request that [`Context::body`](crate::Context::body) or
/// [`Context::parameters`](crate::Context::parameters) returns.
///
/// A field is the member or parameter of its name. It is required, unless its type is an `Option` or a default
/// follows: `limit: PageLimit = Bounded::constant::<50>()`. A field that is read in another way says how:
/// `key: Option<Key> as { fields.header("Key") }`. Such a block sees the results of the fields before it.
#[macro_export]
macro_rules! request {
    (
        $(#[$about:meta])*
        struct $name:ident from $fields:ident {
            $(
                $(#[$field_about:meta])*
                $field:ident: $type:ty $(as $read:block)? $(= $default:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[$about])*
        struct $name {
            $($(#[$field_about])* $field: $type,)*
        }

        impl $crate::FromFields for $name {
            fn from_fields($fields: &mut $crate::Fields<'_>) -> Result<Self, $crate::AtFault> {
                $(
                    let $field: Result<$type, $crate::AtFault> =
                        $crate::request!(@read $fields, $field: $type $(as $read)? $(= $default)?);
                )*
                Ok(Self { $($field: $field?,)* })
            }
        }
    };
    (@read $fields:ident, $field:ident: $type:ty) => {
        <$type as $crate::Field>::read($fields, stringify!($field))
    };
    (@read $fields:ident, $field:ident: $type:ty = $default:expr) => {
        $fields.optional(stringify!($field)).map(|value| value.unwrap_or($default))
    };
    (@read $fields:ident, $field:ident: $type:ty as $read:block) => {
        $read
    };
}
