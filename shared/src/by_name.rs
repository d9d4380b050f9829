//! A map from names, in their order.

/// Values by name. A list: it is searched by halves, and a tree would be ten times the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ByName<T>(Vec<(String, T)>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByName<T> {
    /// The value with this name, made if it is missing.
    pub fn get_or_insert_with(&mut self, name: &str, make: impl FnOnce() -> T) -> &mut T {
        let place = self.place(name).unwrap_or_else(|place| {
            self.0.insert(place, (name.to_owned(), make()));
            place
        });
        #[expect(clippy::indexing_slicing, reason = "it was found or put there")]
        let (_, value) = &mut self.0[place];
        value
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value with this name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let place = self.place(name).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// The values, the first name's first.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Keeps the values that are wanted.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&T) -> bool) {
        self.0.retain(|(_, value)| is_wanted(value));
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_stand_in_order() {
        let mut map = ByName::<u32>::default();
        for (name, value) in [("b", 2), ("a", 1), ("c", 3), ("b", 5)] {
            *map.get_or_insert_with(name, || 0) += value;
        }
        assert_eq!(map.get_mut("b"), Some(&mut 7));
        assert_eq!(map.get_mut("d"), None);
        map.retain(|value| *value != 1);
        let all: Vec<_> = map.iter().collect();
        assert_eq!(all, [("b", &7), ("c", &3)]);
    }
}
