//! Whose calls a reader may see: staff all, a customer its account's, a key that is limited to some VMs its own.

use crate::core::id::AccountId;
use crate::core::principal::{Principal, Side};
use crate::core::state::ControlState;

/// What a reader may see; absent means any.
pub struct Sight {
    /// Calls of this account.
    pub account: Option<AccountId>,
    /// Calls of this key.
    pub credential: Option<String>,
}

impl Sight {
    /// What `who` may see. A key that is not known sees no more than its own calls.
    pub fn of(who: &Principal, state: &ControlState) -> Self {
        if who.side == Side::Staff {
            return Self { account: None, credential: None };
        }
        let whole = state.credentials.get(&who.credential).is_some_and(|key| key.created.vms.is_none());
        Self { account: Some(who.account.clone()), credential: (!whole).then(|| who.credential.to_string()) }
    }
}
