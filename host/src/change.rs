//! [`Change`]: one create, update or delete of a FHIR resource; the noun that all modules share.
