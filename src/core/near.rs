//! Names that were probably meant: what is offered in the place of one that is not there.
//!
//! INVARIANT: offers only what it is given, so a caller passes no more than the reader may see.

/// So many letters may be wrong in a name or id that is taken for a slip of the keyboard.
const SLIPS: usize = 2;

/// How many names are offered.
const OFFERED: usize = 3;

/// The names that differ from `wanted` by a slip of the keyboard, the nearest ones first.
#[must_use]
pub fn near<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let (wanted, length) = (wanted.to_ascii_lowercase(), wanted.chars().count());
    // Measured first: a caller may send a name of any length.
    let may_be = |name: &&str| name.chars().count().abs_diff(length) <= SLIPS;
    let distance = |name: &'a str| (strsim::osa_distance(&wanted, &name.to_ascii_lowercase()), name);
    let is_slip = |(distance, name): &(usize, &str)| *distance <= SLIPS && *distance < name.chars().count();
    let mut near: Vec<(usize, &str)> = known.into_iter().filter(may_be).map(distance).filter(is_slip).collect();
    near.sort_unstable();
    near.into_iter().take(OFFERED).map(|(_, name)| name).collect()
}

/// `Did you mean A or B?`, each written by `shown`; none if nothing is near.
#[must_use]
pub fn did_you_mean<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
    shown: impl Fn(&str) -> String,
) -> Option<String> {
    let near: Vec<String> = near(wanted, known).into_iter().map(shown).collect();
    (!near.is_empty()).then(|| format!("Did you mean {}?", near.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_offers_slips_of_the_keyboard_and_nothing_else() {
        let known = ["vm_power", "vm_get", "vm_list", "all"];
        assert_eq!(near("vm_pwer", known), ["vm_power"]);
        assert_eq!(near("VM_GTE", known), ["vm_get"]);
        assert_eq!(near("vm_get", known), ["vm_get"]);
        assert!(near("reboot", known).is_empty());
        assert!(near("", known).is_empty());
        assert_eq!(did_you_mean("vm_lisst", known, |name| format!("tool:{name}")).as_deref(), Some("Did you mean tool:vm_list?"));
    }
}
