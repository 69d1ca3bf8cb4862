//! Word lists for names and places.

pub(crate) const FAMILIES: [&str; 16] = [
    "Abendroth",
    "Bell",
    "Castaño",
    "Dunmore",
    "Eriksen",
    "Fontaine",
    "Grünwald",
    "Hargrove",
    "Ibáñez",
    "Jansky",
    "Kowalczyk",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "O'Hara",
    "Petrov",
];

pub(crate) const GIVENS: [&str; 16] = [
    "Ada", "Bruno", "Clara", "Dmitri", "Elif", "Frida", "Gustav", "Hana", "Ivo", "Jelena", "Kofi", "Lena",
    "Marek", "Nadia", "Oskar", "Priya",
];

pub(crate) const CITIES: [&str; 8] = [
    "Ashford",
    "Briar Hill",
    "Coldwater",
    "Dunes End",
    "Eastport",
    "Fairmead",
    "Glenloch",
    "Harrow Bay",
];
