//! Where an operation is over REST, beside `POST /api/v1/tools/NAME`, which every one has.

/// A method that a route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// It reads; what it takes is in its query.
    Get,
    /// What it takes is in its body.
    Post,
    /// The same.
    Patch,
    /// It takes nothing but what its path names.
    Delete,
}

impl Method {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A method and a path, and what a success is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below `/api/v1`, its parts in braces by their names.
    pub path: &'static str,
    /// The status of a success.
    pub success: u16,
    /// A part of the path, and the argument that it is, where their names differ.
    pub part: Option<(&'static str, &'static str)>,
}

impl Route {
    const fn of(method: Method, path: &'static str) -> Self {
        Self { method, path, success: 200, part: None }
    }

    /// `GET`.
    #[must_use]
    pub const fn get(path: &'static str) -> Self {
        Self::of(Method::Get, path)
    }

    /// `POST`.
    #[must_use]
    pub const fn post(path: &'static str) -> Self {
        Self::of(Method::Post, path)
    }

    /// `PATCH`.
    #[must_use]
    pub const fn patch(path: &'static str) -> Self {
        Self::of(Method::Patch, path)
    }

    /// `DELETE`.
    #[must_use]
    pub const fn delete(path: &'static str) -> Self {
        Self::of(Method::Delete, path)
    }

    /// It makes something: `201`.
    #[must_use]
    pub const fn created(mut self) -> Self {
        self.success = 201;
        self
    }

    /// The part of the path of this name is that argument.
    #[must_use]
    pub const fn naming(mut self, part: &'static str, argument: &'static str) -> Self {
        self.part = Some((part, argument));
        self
    }

    /// Whether a path is one of its.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        let mut given = path.trim_end_matches('/').split('/');
        let fits = |part: &str| given.next().is_some_and(|given| part == given || (part.starts_with('{') && !given.is_empty()));
        self.path.split('/').all(fits) && given.next().is_none()
    }

    /// The names in the path.
    pub fn parts(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The argument that a part of the path is.
    #[must_use]
    pub fn argument(&self, part: &'static str) -> &'static str {
        self.part.filter(|(name, _)| *name == part).map_or(part, |(_, argument)| argument)
    }
}
