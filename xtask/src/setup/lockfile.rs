//! Whether `node_modules` is what package-lock.json says.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// Compares the lock with npm's own record of what it installed. Optional packages (those of other systems) may be
/// absent; any other version is a difference.
pub fn installed(lock: &Path, modules: &Path) -> Result<bool> {
    let text = fs::read_to_string(lock)
        .with_context(|| format!("{} could not be read", lock.display()))?;
    let wanted: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", lock.display()))?;
    let Ok(text) = fs::read_to_string(modules.join(".package-lock.json")) else {
        return Ok(false);
    };
    // npm writes this file last: a broken one is an interrupted installation.
    let Ok(present) = serde_json::from_str::<Value>(&text) else {
        return Ok(false);
    };
    Ok(matches(&wanted, &present))
}

fn matches(wanted: &Value, present: &Value) -> bool {
    let (Some(wanted), Some(present)) = (packages(wanted), packages(present)) else {
        return false;
    };
    let is_known = |path: &String| wanted.contains_key(path);
    let is_there = |(path, package): (&String, &Value)| match present.get(path) {
        Some(found) => found.get("version") == package.get("version"),
        // The entry without a path is the project itself.
        None => path.is_empty() || package.get("optional") == Some(&Value::Bool(true)),
    };
    present.keys().all(is_known) && wanted.iter().all(is_there)
}

fn packages(lock: &Value) -> Option<&serde_json::Map<String, Value>> {
    lock.get("packages").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lock() -> Value {
        json!({"packages": {
            "": {"name": "keyward"},
            "node_modules/a": {"version": "1.0.0"},
            "node_modules/b-linux": {"version": "2.0.0", "optional": true},
        }})
    }

    #[test]
    fn the_same_packages_match_with_or_without_optional_ones() {
        let both = json!({"packages": {
            "node_modules/a": {"version": "1.0.0"}, "node_modules/b-linux": {"version": "2.0.0"},
        }});
        assert!(matches(&lock(), &both));
        let one = json!({"packages": {"node_modules/a": {"version": "1.0.0"}}});
        assert!(matches(&lock(), &one));
    }

    #[test]
    fn another_version_a_missing_and_a_stray_package_do_not_match() {
        for packages in [
            json!({"node_modules/a": {"version": "1.0.1"}}),
            json!({"node_modules/b-linux": {"version": "2.0.0"}}),
            json!({"node_modules/a": {"version": "1.0.0"}, "node_modules/b-linux": {"version": "3.0.0"}}),
            json!({"node_modules/a": {"version": "1.0.0"}, "node_modules/c": {"version": "1.0.0"}}),
        ] {
            assert!(!matches(&lock(), &json!({"packages": packages})));
        }
        assert!(!matches(&lock(), &json!({})));
    }
}
