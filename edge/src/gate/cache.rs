//! A bounded memory.
//!
//! When it is full, what was not asked for lately gives way: a hand goes round as on a clock, passes over what was asked
//! for since it came by last, and takes what was not.

use std::hash::Hasher;

use hashbrown::HashTable;
use siphasher::sip128::SipHasher13;

/// Values by key.
pub struct Cache<K, V> {
    index: Index,
    entries: Vec<Entry<K, V>>,
    most: usize,
    hand: usize,
}

/// Where a value stands until the cache is changed.
pub struct Place(usize);

struct Entry<K, V> {
    key: K,
    value: V,
    hash: u64,
    used: bool,
}

impl<K: AsRef<[u8]>, V> Cache<K, V> {
    /// Holds at most so many values. Who does not know the secret can't find keys that collide.
    pub fn new(most: usize, secret: &[u8; 16]) -> Self {
        Self {
            index: Index::new(secret),
            entries: Vec::new(),
            most,
            hand: 0,
        }
    }

    /// A value that is asked for.
    pub fn get<Q: AsRef<[u8]> + ?Sized>(&mut self, key: &Q) -> Option<&mut V> {
        let place = self.find(key.as_ref())?;
        let entry = self.entries.get_mut(place)?;
        entry.used = true;
        Some(&mut entry.value)
    }

    /// A value that is looked at by the way.
    #[cfg(test)]
    pub fn peek<Q: AsRef<[u8]> + ?Sized>(&self, key: &Q) -> Option<&V> {
        let place = self.find(key.as_ref())?;
        self.entries.get(place).map(|entry| &entry.value)
    }

    /// A value that is changed by the way.
    pub fn peek_mut<Q: AsRef<[u8]> + ?Sized>(&mut self, key: &Q) -> Option<&mut V> {
        let place = self.find(key.as_ref())?;
        self.entries.get_mut(place).map(|entry| &mut entry.value)
    }

    /// Sets a value; what is pushed out for it is forgotten.
    pub fn put(&mut self, key: K, value: V) {
        match self.peek_mut(&key) {
            Some(known) => *known = value,
            None => {
                self.make_room();
                self.add(key, value);
            }
        }
    }

    /// The place of a value, which is made if it is missing; and what was pushed out for it.
    pub fn place(&mut self, key: K, make: impl FnOnce() -> V) -> (Place, Option<(K, V)>) {
        if let Some(place) = self.find(key.as_ref()) {
            return (Place(place), None);
        }
        let gone = self.make_room();
        self.add(key, make());
        (Place(self.entries.len() - 1), gone)
    }

    /// The value at a place that was just given; it is asked for.
    pub fn at(&mut self, place: Place) -> &mut V {
        #[expect(
            clippy::indexing_slicing,
            reason = "a place is used before the cache changes"
        )]
        let entry = &mut self.entries[place.0];
        entry.used = true;
        &mut entry.value
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.index.places.clear();
        self.entries.clear();
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        self.index.find(self.index.hash(key), &|place| {
            let entry = self.entries.get(place);
            entry.is_some_and(|entry| entry.key.as_ref() == key)
        })
    }

    fn add(&mut self, key: K, value: V) {
        let hash = self.index.hash(key.as_ref());
        self.index.add(hash, self.entries.len());
        self.entries.push(Entry {
            key,
            value,
            hash,
            used: true,
        });
    }

    fn make_room(&mut self) -> Option<(K, V)> {
        if self.entries.len() < self.most {
            return None;
        }
        loop {
            self.hand = (self.hand + 1) % self.most;
            match self.entries.get_mut(self.hand) {
                Some(entry) if entry.used => entry.used = false,
                Some(_) => break,
                None => return None,
            }
        }
        // The last one moves to the place that becomes free.
        let gone = self.entries.swap_remove(self.hand);
        self.index.remove(gone.hash, self.hand);
        if let Some(moved) = self.entries.get(self.hand) {
            self.index.remove(moved.hash, self.entries.len());
            self.index.add(moved.hash, self.hand);
        }
        Some((gone.key, gone.value))
    }
}

/// Places by hash: one code for every kind of value.
struct Index {
    hasher: SipHasher13,
    places: HashTable<(u64, usize)>,
}

impl Index {
    fn new(secret: &[u8; 16]) -> Self {
        Self {
            hasher: SipHasher13::new_with_key(secret),
            places: HashTable::new(),
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher;
        hasher.write(key);
        hasher.finish()
    }

    fn find(&self, hash: u64, is_it: &dyn Fn(usize) -> bool) -> Option<usize> {
        let found = self.places.find(hash, |(_, place)| is_it(*place));
        found.map(|(_, place)| *place)
    }

    fn add(&mut self, hash: u64, place: usize) {
        self.places
            .insert_unique(hash, (hash, place), |(hash, _)| *hash);
    }

    fn remove(&mut self, hash: u64, place: usize) {
        if let Ok(found) = self.places.find_entry(hash, |(_, known)| *known == place) {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Get(u8),
        Put(u8, u32),
        Place(u8, u32),
        Clear,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => any::<u8>().prop_map(Op::Get),
            8 => any::<(u8, u32)>().prop_map(|(key, value)| Op::Put(key, value)),
            8 => any::<(u8, u32)>().prop_map(|(key, value)| Op::Place(key, value)),
            1 => Just(Op::Clear),
        ]
    }

    proptest! {
        /// Against a map from which the same is taken out that the cache says it pushed out.
        #[test]
        fn a_cache_is_a_map_that_holds_no_more_than_it_may(most in 1..9_usize, ops in prop::collection::vec(op(), 0..200)) {
            let mut cache = Cache::new(most, &[7; 16]);
            let mut map = BTreeMap::new();
            for op in ops {
                match op {
                    Op::Get(key) => prop_assert_eq!(cache.get(&[key % 16]).copied(), map.get(&(key % 16)).copied()),
                    Op::Put(key, value) => {
                        cache.put([key % 16], value);
                        map.insert(key % 16, value);
                        map.retain(|key, _| cache.peek(&[*key]).is_some());
                        prop_assert_eq!(map.get(&(key % 16)), Some(&value));
                    }
                    Op::Place(key, value) => {
                        let was_full = map.len() == most && !map.contains_key(&(key % 16));
                        let (place, gone) = cache.place([key % 16], || value);
                        prop_assert_eq!(gone.is_some(), was_full);
                        if let Some(([key], value)) = gone {
                            prop_assert_eq!(map.remove(&key), Some(value));
                        }
                        let known = *map.entry(key % 16).or_insert(value);
                        prop_assert_eq!(*cache.at(place), known);
                    }
                    Op::Clear => {
                        cache.clear();
                        map.clear();
                    }
                }
                prop_assert!(map.len() <= most);
                for key in 0..16 {
                    prop_assert_eq!(cache.peek(&[key]), map.get(&key));
                }
                prop_assert_eq!(cache.entries.len(), map.len());
                prop_assert_eq!(cache.index.places.len(), map.len());
            }
        }
    }

    #[test]
    fn what_was_asked_for_stays_and_what_was_not_gives_way() {
        let mut cache = Cache::new(3, &[7; 16]);
        for n in 0..3_u32 {
            assert!(cache.place(n.to_string(), || n).1.is_none());
        }
        // The hand passes over all once.
        assert!(cache.place("3".to_owned(), || 3).1.is_some());
        let kept: Vec<u32> = (0..4)
            .filter(|n| cache.peek(&n.to_string()).is_some())
            .collect();
        assert_eq!(kept.len(), 3);
        assert_eq!(cache.get("3"), Some(&mut 3));
        for n in 4..1_000 {
            let (place, gone) = cache.place(n.to_string(), || n);
            let gone = gone.unwrap();
            assert_eq!(cache.at(place), &n);
            assert_ne!(gone.0, "3", "at {n}");
            assert_eq!(gone.0, gone.1.to_string());
            assert_eq!(cache.peek(&gone.0), None);
            assert_eq!(cache.get("3"), Some(&mut 3));
        }
    }

    #[test]
    fn a_value_is_replaced_and_all_are_forgotten() {
        let mut cache = Cache::new(2, &[7; 16]);
        for n in 0..100_u32 {
            cache.put((n % 5).to_string(), n);
            assert_eq!(cache.peek(&(n % 5).to_string()), Some(&n));
        }
        cache.clear();
        assert!((0..5).all(|n| cache.peek(&n.to_string()).is_none()));
    }
}
