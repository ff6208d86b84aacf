import{a as r}from"./chunk-N777JUXP.js";import"./chunk-NTLOZURF.js";import"./chunk-ZIZXCXVB.js";import"./chunk-TTIQBOQ5.js";import"./chunk-JAQUXQSI.js";import"./chunk-L3A2KVHQ.js";r()();
