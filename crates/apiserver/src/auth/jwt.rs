//! JSON Web Tokens: taken apart, checked and signed. Pure.
//!
//! Only what the server needs of RFC 7515, 7517 and 7518: the compact form, one asymmetric signature, public keys of a
//! JSON Web Key Set. `none` and the algorithms with a shared secret do not exist here, so that no token can choose them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::{
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, KeyPair as _, RsaPublicKeyComponents, UnparsedPublicKey},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::{
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY},
    prelude::FromDer as _,
    x509::SubjectPublicKeyInfo,
};

/// Clocks of issuer and server may differ by so much.
pub(super) const LEEWAY: SignedDuration = SignedDuration::from_secs(10);
/// No token is longer; longer ones are not even decoded.
const LONGEST: usize = 16 * 1024;

/// A token, taken apart; nothing in it is believed before [`is_signed_by`](Token::is_signed_by) says yes.
pub(super) struct Token<'a> {
    header: Header,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that the reader must understand. None is.
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// Takes a compact token apart; nothing if it is none.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        let claims = serde_json::from_slice(&decode(claims)?).ok()?;
        Some(Self { header, claims, signed, signature: decode(signature)? })
    }

    /// The name of the key, if the token says it.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether the key made the signature, with the algorithm that the key is for.
    pub(super) fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.verify(&self.header.alg, self.signed.as_bytes(), &self.signature)
    }

    /// Everything that the token says.
    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// A claim that is a text, empty if it is none.
    pub(super) fn text(&self, claim: &str) -> &str {
        self.claims.get(claim).and_then(Value::as_str).unwrap_or_default()
    }

    /// `aud`, which may be one text or several.
    pub(super) fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the token holds now: `exp` must be there, `nbf` and `iat` need not.
    pub(super) fn in_time(&self, now: Timestamp) -> Result<(), &'static str> {
        let at = |claim: &str| self.claims.get(claim).map(|value| value.as_f64().and_then(moment));
        match at("exp") {
            Some(Some(end)) if now < end.saturating_add(LEEWAY).unwrap_or(Timestamp::MAX) => {}
            Some(Some(_)) => return Err("the token has expired"),
            _ => return Err("the token does not say when it ends"),
        }
        for claim in ["nbf", "iat"] {
            match at(claim) {
                None => {}
                Some(Some(start)) if start <= now.saturating_add(LEEWAY).unwrap_or(Timestamp::MAX) => {}
                Some(_) => return Err("the token does not hold yet"),
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seconds far out of range become no moment at all")]
fn moment(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_second(seconds as i64).ok()
}

/// A public key, and which algorithms it may be used with.
#[derive(Clone, Debug)]
pub(super) enum PublicKey {
    /// `RS…` and `PS…`, 2048 to 8192 bits.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8>, only: Option<String> },
    /// `ES256`
    P256(Vec<u8>),
    /// `ES384`
    P384(Vec<u8>),
    /// `EdDSA`
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// Reads one entry of a key set; nothing for what is not a public key for signatures, or not one of these kinds.
    pub(super) fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |field: &str| jwk.get(field).and_then(Value::as_str);
        let bytes = |field: &str| URL_SAFE_NO_PAD.decode(text(field)?).ok();
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let point = |width: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == width && y.len() == width).then(|| [&[4], &x[..], &y[..]].concat())
        };
        let (key, own) = match (text("kty")?, text("crv").unwrap_or_default()) {
            ("RSA", _) => {
                let only = text("alg").map(str::to_owned);
                return Some(Self::Rsa { modulus: bytes("n")?, exponent: bytes("e")?, only });
            }
            ("EC", "P-256") => (Self::P256(point(32)?), "ES256"),
            ("EC", "P-384") => (Self::P384(point(48)?), "ES384"),
            ("OKP", "Ed25519") => (Self::Ed25519(bytes("x")?), "EdDSA"),
            _ => return None,
        };
        text("alg").is_none_or(|alg| alg == own).then_some(key)
    }

    fn verify(&self, alg: &str, message: &[u8], made: &[u8]) -> bool {
        match self {
            Self::Rsa { modulus, exponent, only } => {
                let parameters = match alg {
                    _ if only.as_deref().is_some_and(|only| only != alg) => return false,
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, made).is_ok()
            }
            Self::P256(point) if alg == "ES256" => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, made).is_ok()
            }
            Self::P384(point) if alg == "ES384" => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, made).is_ok()
            }
            Self::Ed25519(point) if alg == "EdDSA" => {
                UnparsedPublicKey::new(&signature::ED25519, point).verify(message, made).is_ok()
            }
            _ => false,
        }
    }
}

/// A public key of the curve P-256, with the name that tokens call it by.
#[derive(Clone, Debug)]
pub(super) struct NamedKey {
    pub(super) id: String,
    pub(super) key: PublicKey,
    /// As it is written: 4, x, y.
    point: Vec<u8>,
}

impl NamedKey {
    fn new(point: &[u8]) -> Self {
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(point));
        Self { id, key: PublicKey::P256(point.to_vec()), point: point.to_vec() }
    }

    /// Reads a `SubjectPublicKeyInfo`; nothing for a key of another kind.
    pub(super) fn from_spki(der: &[u8]) -> Option<Self> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
        let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
        let fits = info.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == OID_EC_P256;
        let point = info.subject_public_key.data;
        (rest.is_empty() && fits && point.len() == 65 && point[0] == 4).then(|| Self::new(&point))
    }

    /// As it is published in a key set.
    pub(super) fn to_jwk(&self) -> Value {
        let (x, y) = self.point[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256", "x": text(x), "y": text(y)})
    }
}

/// A private key that signs with `ES256`.
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    public: NamedKey,
}

impl SigningKey {
    /// Reads a PKCS #8 key of the curve P-256.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new()).ok()?;
        let public = NamedKey::new(pair.public_key().as_ref());
        Some(Self { pair, public })
    }

    /// What checks the signatures. Its name in headers is a digest of it.
    pub(super) fn public(&self) -> NamedKey {
        self.public.clone()
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> &str {
        &self.public.id
    }

    /// The compact token that says these claims; nothing if no random bytes could be drawn.
    pub(super) fn sign(&self, claims: &Value) -> Option<String> {
        let header = json!({"alg": "ES256", "kid": self.public.id, "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let made = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(made)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::{PublicKey, SigningKey, Token, URL_SAFE_NO_PAD};
    use base64::Engine as _;

    pub(crate) fn key() -> SigningKey {
        let pair = rcgen::KeyPair::generate().unwrap();
        SigningKey::from_pkcs8(&pair.serialize_der()).unwrap()
    }

    /// The key as an issuer publishes it.
    pub(crate) fn jwk(key: &SigningKey, kid: &str) -> Value {
        let mut jwk = key.public().to_jwk();
        jwk["kid"] = kid.into();
        jwk
    }

    #[test]
    fn what_was_signed_holds_and_nothing_else_does() {
        let key = key();
        let token = key.sign(&json!({"sub": "alice", "aud": ["a", "b"]})).unwrap();
        let parsed = Token::parse(&token).unwrap();
        assert!(
            parsed.is_signed_by(&key.public().key)
                && parsed.is_signed_by(&PublicKey::from_jwk(&jwk(&key, "k")).unwrap())
        );
        assert_eq!((parsed.text("sub"), parsed.audiences()), ("alice", vec!["a", "b"]));
        assert!(!parsed.is_signed_by(&self::key().public().key), "another key");
        let (head, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(json!({"sub": "root"}).to_string());
        assert!(!Token::parse(&format!("{head}.{other}.{signature}")).unwrap().is_signed_by(&key.public().key));
    }

    #[test]
    fn no_token_chooses_its_algorithm() {
        let key = key();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        for alg in ["none", "HS256", "ES384", "RS256", "es256"] {
            let text = format!("{}.{}.", part(json!({"alg": alg})), part(json!({"sub": "root"})));
            let token = Token::parse(&text).unwrap();
            assert!(!token.is_signed_by(&key.public().key), "{alg}");
        }
        let critical = format!("{}.{}.", part(json!({"alg": "ES256", "crit": ["x"]})), part(json!({})));
        assert!(Token::parse(&critical).is_none());
        let rsa = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"});
        assert!(PublicKey::from_jwk(&rsa).is_none(), "a key for encryption");
        assert!(PublicKey::from_jwk(&json!({"kty": "oct", "k": "c2VjcmV0"})).is_none(), "a shared secret");
    }

    /// The public half of an RSA key whose private half is gone, and what it signed once: `{"sub":"alice"}`.
    const RSA_MODULUS: &str = concat!(
        "wZP6Ph5xZq5mW3ZsE2Hi103xNwu1iJ0W5808f3HbSWT0EDn-_6r3Z7LGKbvKJVIEi-Z4AvXvEbxTU5ri2EZhfSeozUTPhlBuxsY0",
        "_i7VUiYLqe-j2N8GmdWc2r1v1-uaVbfol4ixfwmZIyHoqRKWXg2QqRcWbjLlgS84GYJKGlobw4pUKsMBcbcr6cFvdGH4xJFfAcO3",
        "gOVIdY-S2h9VjiEUCb5O4aG0sXsRBIYLvAVGX1Lx0vwcMTGj-0WG0q8coY78keNXW_K5XuGqoupd66YDgiG3zDsq3QKsdUqH7L9X",
        "5fz5gKbPKBN1MJuuvFAiJ0F63xOlJBGXkFMpw1DBvw",
    );
    const RS256_SIGNATURE: &str = concat!(
        "T32Yvq6iDlvLWQHN3uJBE3H9OpuhCRgxfjbJe0TAUC0gfSsMNFgoMt6xnH3g67YMzW-qO3WhEjcCMf92C1JcWh-3V9hAVlN_CXxd",
        "0FySd7SoRKTjgm75UJec_2YwpN-fo9JZroTNTdHdjAoU-A8Hhj9tYxXWSf8c9BU9RuC1p44FqFXcnh1sWmT7mQFDO84WJR5QYpFS",
        "BsHQ8TtT_TZ8_zDnlFqSYgpSIa3EYpz9pQXlEaUe1x5clH9-kHH-Hgwjz-dLXDJj2abCVYgVWC1di9O--wdZnrjY6YK6_1gngpoS",
        "0r9voEk5mS0eYSy3KKmI9HL9PoZF2JTswzOWzqeruA",
    );
    const PS256_SIGNATURE: &str = concat!(
        "I9dqzR3HQiMqsAlx9cEKAzxfZ4a-hdxml9hyHX1Zw94dj5pFh-iDb_X_-WpYpJrV0p3P4xFY15443SVsdKhdmGIlCDMaQnzLQpRr",
        "yb2sKC-bGXuhe6pN8UzTWfiHw8AG5XF-mWp2T2Ie4Q3-fk9j7FHDI7qRnv2ZkI79xiTaha5Y1gd01kEMTDcP2u91S-ekgnBZIXJV",
        "KRYr5RdbqqFTiz8eSAbgevHEP4sYlo_8GHzjkwfT0Y2HhzgiqP7OBBDLXhCIS6faB7GSUF0u1pLmEHeLseowFjX52xSxHo3FDFeM",
        "1N9ArXCDWLGpIVkPzMRcZG8LKZXotZ5WAUDIs-TZsw",
    );

    #[test]
    fn rsa_signatures_are_checked_with_the_algorithm_that_the_key_is_for() {
        let signed = |alg: &str, signature: &str| {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"r"}}"#));
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"sub":"alice"}"#))
        };
        let jwk = |alg: Option<&str>| json!({"kty": "RSA", "n": RSA_MODULUS, "e": "AQAB", "kid": "r", "alg": alg});
        let judge = |alg: &str, signature: &str, only: Option<&str>| {
            let token = signed(alg, signature);
            Token::parse(&token).unwrap().is_signed_by(&PublicKey::from_jwk(&jwk(only)).unwrap())
        };
        assert!(judge("RS256", RS256_SIGNATURE, None) && judge("RS256", RS256_SIGNATURE, Some("RS256")));
        assert!(judge("PS256", PS256_SIGNATURE, None));
        assert!(!judge("PS256", PS256_SIGNATURE, Some("RS256")), "the key is for another algorithm");
        assert!(!judge("RS512", RS256_SIGNATURE, None) && !judge("HS256", RS256_SIGNATURE, None));
    }

    #[test]
    fn time_is_checked_with_a_small_leeway() {
        let key = key();
        let judge = |claims: Value| {
            let token = key.sign(&claims).unwrap();
            Token::parse(&token).unwrap().in_time(Timestamp::from_second(1000).unwrap())
        };
        assert!(judge(json!({"exp": 1001, "nbf": 1000})).is_ok());
        assert!(judge(json!({"exp": 991, "nbf": 1010})).is_ok(), "clocks differ");
        assert!(judge(json!({"exp": 990})).is_err() && judge(json!({"exp": 2000, "nbf": 1011})).is_err());
        assert!(judge(json!({"exp": 2000, "iat": 1011})).is_err());
        assert!(judge(json!({})).is_err() && judge(json!({"exp": "2000"})).is_err());
    }

    #[test]
    fn garbage_is_no_token() {
        for text in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "!.!.!", "eyJhbGciOiJFUzI1NiJ9.W10.AA"] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
