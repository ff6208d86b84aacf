import{m as i,q as s}from"./chunk-TTIQBOQ5.js";import"./chunk-JAQUXQSI.js";import"./chunk-L3A2KVHQ.js";s.matches||i(".hero-picture")?.classList.add("moving");
