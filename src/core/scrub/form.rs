//! Tokens that say by their beginning what they are.
//!
//! The beginnings are facts that their issuers publish so that scanners find them; they were compared with the default rules
//! of gitleaks and the plug-ins of detect-secrets. Lengths are shorter than theirs: what was cut short
//! somewhere else is still a secret, and a record that lacks a word is no harm.

use std::ops::Range;
use std::sync::LazyLock;

use super::finder::Finder;

/// What follows the beginning of a token.
#[derive(Clone, Copy)]
enum Of {
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `-` and `_`.
    Word,
    /// Capitals and digits.
    Upper,
    /// Digits of base 16.
    Hex,
    /// What a token can be written with.
    Any,
}

/// One form: how it begins, what follows, how much of that at least, and whether it may begin inside a word.
struct Form(&'static str, Of, usize, bool);

use Of::{Alnum, Any, Hex, Upper, Word};

/// Not inside a word: too short a beginning to mean anything there.
const ALONE: bool = false;
const ANYWHERE: bool = true;

const FORMS: &[Form] = &[
    // Our own: keys, and links by which somebody becomes a person here.
    Form("flk_live_", Alnum, 10, ANYWHERE),
    Form("/console/welcome/", Word, 16, ANYWHERE),
    // JSON in base 64 that begins with `{"`: JWTs, and much else that holds credentials.
    Form("eyJ", Any, 20, ANYWHERE),
    Form("ewogIC", Any, 24, ANYWHERE),
    Form("ZXlK", Any, 40, ALONE),
    // Places where code is kept and built.
    Form("ghp_", Alnum, 20, ANYWHERE),
    Form("gho_", Alnum, 20, ANYWHERE),
    Form("ghu_", Alnum, 20, ANYWHERE),
    Form("ghs_", Alnum, 20, ANYWHERE),
    Form("ghr_", Alnum, 20, ANYWHERE),
    Form("github_pat_", Word, 20, ANYWHERE),
    Form("glpat-", Word, 16, ANYWHERE),
    Form("gldt-", Word, 16, ANYWHERE),
    Form("glrt-", Word, 16, ANYWHERE),
    Form("glrtr-", Word, 16, ANYWHERE),
    Form("glptt-", Word, 16, ANYWHERE),
    Form("glcbt-", Word, 16, ANYWHERE),
    Form("glft-", Word, 16, ANYWHERE),
    Form("glffct-", Word, 16, ANYWHERE),
    Form("glimt-", Word, 16, ANYWHERE),
    Form("glagent-", Word, 16, ANYWHERE),
    Form("gloas-", Word, 16, ANYWHERE),
    Form("glsoat-", Word, 16, ANYWHERE),
    Form("GR1348941", Word, 16, ANYWHERE),
    Form("ATATT3", Word, 30, ANYWHERE),
    Form("ATCTT3", Word, 30, ANYWHERE),
    Form("ATBB", Alnum, 24, ALONE),
    Form("CCIPAT_", Word, 20, ANYWHERE),
    Form("bkua_", Alnum, 30, ANYWHERE),
    Form("sgp_", Word, 30, ALONE),
    Form("squ_", Alnum, 30, ALONE),
    Form("sqp_", Alnum, 30, ALONE),
    Form("sqa_", Alnum, 30, ALONE),
    Form("sntrys_", Any, 30, ANYWHERE),
    Form("sntryu_", Alnum, 30, ANYWHERE),
    Form("API-", Upper, 26, ALONE),
    // Registries of packages.
    Form("npm_", Alnum, 20, ANYWHERE),
    Form("pypi-AgE", Word, 20, ANYWHERE),
    Form("rubygems_", Hex, 30, ANYWHERE),
    Form("cio", Alnum, 32, ALONE),
    Form("oy2", Alnum, 43, ALONE),
    Form("dckr_pat_", Word, 16, ANYWHERE),
    Form("dckr_oat_", Word, 16, ANYWHERE),
    Form("AKCp", Alnum, 50, ALONE),
    Form("cmVmd", Alnum, 50, ALONE),
    Form("CLOJARS_", Alnum, 40, ANYWHERE),
    // Clouds and what runs in them.
    Form("AKIA", Upper, 16, ANYWHERE),
    Form("ASIA", Upper, 16, ANYWHERE),
    Form("ABIA", Upper, 16, ANYWHERE),
    Form("ACCA", Upper, 16, ANYWHERE),
    Form("ABSK", Any, 60, ALONE),
    Form("bedrock-api-key-", Any, 20, ANYWHERE),
    Form("AIza", Word, 30, ANYWHERE),
    Form("ya29.", Word, 16, ANYWHERE),
    Form("1//0", Word, 30, ALONE),
    Form("GOCSPX-", Word, 16, ANYWHERE),
    Form("8Q~", Any, 30, ANYWHERE),
    Form("7Q~", Any, 30, ANYWHERE),
    Form("dop_v1_", Hex, 30, ANYWHERE),
    Form("doo_v1_", Hex, 30, ANYWHERE),
    Form("dor_v1_", Hex, 30, ANYWHERE),
    Form("LTAI", Alnum, 16, ALONE),
    Form("AKID", Alnum, 30, ALONE),
    Form("AQVN", Word, 30, ALONE),
    Form("HRKU-", Word, 30, ANYWHERE),
    Form("fo1_", Word, 30, ALONE),
    Form("fm1a_", Any, 40, ALONE),
    Form("fm1r_", Any, 40, ALONE),
    Form("fm2_", Any, 40, ALONE),
    Form("v1.0-", Hex, 20, ALONE),
    Form("nfp_", Alnum, 30, ALONE),
    Form("vercel_blob_rw_", Word, 16, ANYWHERE),
    Form("sbp_", Alnum, 30, ALONE),
    Form("sb_secret_", Word, 16, ANYWHERE),
    Form("pscale_tkn_", Any, 20, ANYWHERE),
    Form("pscale_pw_", Any, 20, ANYWHERE),
    Form("pscale_oauth_", Any, 20, ANYWHERE),
    Form("dapi", Hex, 32, ALONE),
    Form("sha256~", Word, 40, ANYWHERE),
    Form("tk-us-", Word, 40, ALONE),
    Form("EAAA", Word, 40, ALONE),
    Form("pul-", Hex, 30, ALONE),
    Form(".atlasv1.", Any, 40, ANYWHERE),
    Form("hvs.", Word, 20, ANYWHERE),
    Form("hvb.", Word, 20, ANYWHERE),
    Form("hvr.", Word, 20, ANYWHERE),
    Form("dp.pt.", Alnum, 30, ANYWHERE),
    Form("dp.st.", Any, 30, ANYWHERE),
    Form("dp.ct.", Alnum, 30, ANYWHERE),
    Form("dp.sa.", Alnum, 30, ANYWHERE),
    Form("tskey-", Word, 12, ANYWHERE),
    Form("dnkey-", Any, 30, ALONE),
    Form("AGE-SECRET-KEY-1", Upper, 30, ANYWHERE),
    // Watching.
    Form("glsa_", Word, 30, ANYWHERE),
    Form("glc_", Any, 30, ALONE),
    Form("NRAK-", Alnum, 20, ANYWHERE),
    Form("NRII-", Word, 20, ANYWHERE),
    Form("NRJS-", Hex, 16, ANYWHERE),
    Form("dt0c01.", Any, 20, ANYWHERE),
    Form("dt0s16.", Any, 20, ANYWHERE),
    Form("PMAK-", Word, 30, ANYWHERE),
    Form("pnu_", Alnum, 30, ALONE),
    // Money, mail and messages.
    Form("sk_live_", Alnum, 10, ANYWHERE),
    Form("sk_test_", Alnum, 10, ANYWHERE),
    Form("sk_prod_", Alnum, 10, ANYWHERE),
    Form("rk_live_", Alnum, 10, ANYWHERE),
    Form("rk_test_", Alnum, 10, ANYWHERE),
    Form("rk_prod_", Alnum, 10, ANYWHERE),
    Form("whsec_", Any, 16, ANYWHERE),
    Form("sq0atp-", Word, 16, ANYWHERE),
    Form("sq0csp-", Word, 16, ANYWHERE),
    Form("shpat_", Hex, 16, ANYWHERE),
    Form("shpca_", Hex, 16, ANYWHERE),
    Form("shppa_", Hex, 16, ANYWHERE),
    Form("shpss_", Hex, 16, ANYWHERE),
    Form("shippo_live_", Hex, 20, ANYWHERE),
    Form("FLWSECK", Word, 12, ANYWHERE),
    Form("duffel_live_", Word, 20, ANYWHERE),
    Form("access-production-", Word, 30, ANYWHERE),
    Form("EZAK", Alnum, 40, ALONE),
    Form("EZTK", Alnum, 40, ALONE),
    Form("SG.", Word, 16, ALONE),
    Form("key-", Hex, 32, ALONE),
    Form("xkeysib-", Word, 30, ANYWHERE),
    Form("xsmtpsib-", Word, 30, ANYWHERE),
    Form("SK", Hex, 32, ALONE),
    Form("xoxa-", Any, 8, ANYWHERE),
    Form("xoxb-", Any, 8, ANYWHERE),
    Form("xoxc-", Any, 8, ANYWHERE),
    Form("xoxd-", Any, 8, ANYWHERE),
    Form("xoxe-", Any, 8, ANYWHERE),
    Form("xoxe.", Any, 8, ANYWHERE),
    Form("xoxo-", Any, 8, ANYWHERE),
    Form("xoxp-", Any, 8, ANYWHERE),
    Form("xoxr-", Any, 8, ANYWHERE),
    Form("xoxs-", Any, 8, ANYWHERE),
    Form("xapp-", Any, 8, ANYWHERE),
    Form("xwfp-", Any, 8, ANYWHERE),
    Form("hooks.slack.com/services/", Any, 20, ANYWHERE),
    Form("hooks.slack.com/workflows/", Any, 20, ANYWHERE),
    Form("hooks.slack.com/triggers/", Any, 20, ANYWHERE),
    Form("/api/webhooks/", Any, 40, ANYWHERE),
    Form("webhook.office.com/webhookb2/", Any, 20, ANYWHERE),
    // Models.
    Form("sk-", Alnum, 20, ANYWHERE),
    Form("sk-proj-", Word, 20, ANYWHERE),
    Form("sk-svcacct-", Word, 20, ANYWHERE),
    Form("sk-admin-", Word, 20, ANYWHERE),
    Form("sk-ant-", Word, 20, ANYWHERE),
    Form("sk-or-v1-", Word, 20, ANYWHERE),
    Form("hf_", Alnum, 30, ALONE),
    Form("api_org_", Alnum, 30, ANYWHERE),
    Form("gsk_", Alnum, 30, ALONE),
    Form("xai-", Alnum, 40, ALONE),
    Form("pplx-", Alnum, 30, ANYWHERE),
    Form("r8_", Alnum, 30, ALONE),
    // What people work with.
    Form("lin_api_", Alnum, 30, ANYWHERE),
    Form("ntn_", Alnum, 40, ALONE),
    Form("secret_", Alnum, 40, ANYWHERE),
    Form("figd_", Word, 30, ANYWHERE),
    Form("ops_eyJ", Any, 30, ANYWHERE),
    Form("rdme_", Alnum, 40, ANYWHERE),
    Form("tfp_", Any, 40, ALONE),
    Form("ico-", Alnum, 32, ALONE),
    Form("fio-u-", Any, 40, ALONE),
    Form("s-s4t2ud-", Hex, 40, ANYWHERE),
    Form("s-s4t2af-", Hex, 40, ANYWHERE),
    Form("p8e-", Alnum, 32, ALONE),
    Form("sm_pat_", Alnum, 16, ANYWHERE),
    Form("sm_aat_", Alnum, 16, ANYWHERE),
    Form("sm_sat_", Alnum, 16, ANYWHERE),
    // What a database keeps of a password.
    Form("md5", Hex, 32, ALONE),
];

/// The forms by their first byte.
static BY_FIRST: LazyLock<Vec<Vec<&'static Form>>> = LazyLock::new(|| {
    let of = |first: u8| FORMS.iter().filter(|form| form.0.as_bytes().first() == Some(&first)).collect();
    (0..=u8::MAX).map(of).collect()
});

impl Of {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_',
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Any => is_token(byte),
        }
    }
}

/// Whether a token can be written with it.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.+/=~".contains(&byte)
}

/// The token that begins at `at`, with all that is joined to it.
pub(super) fn token(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let first = *finder.text.get(at)?;
    let forms = BY_FIRST.get(usize::from(first))?;
    forms.iter().find_map(|Form(start, of, least, anywhere)| {
        if !finder.is_at(at, start.as_bytes()) || !(*anywhere || stands_alone(finder, at)) {
            return None;
        }
        let body = at + start.len();
        let length = finder.run(body, *least, |byte| of.has(byte));
        let is_secret = length >= *least || finder.goes_on(body + length);
        is_secret.then(|| at..finder.end_of(body, is_token))
    })
}

/// Whether no word goes on at `at`; an escape is no word.
fn stands_alone(finder: &Finder<'_>, at: usize) -> bool {
    let escaped = matches!(finder.back(at, 2), [b'\\', _]);
    escaped || finder.before(at).is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte != b'_')
}
