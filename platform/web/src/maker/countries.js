// The countries by their ISO 3166 codes; the browser knows their names in the page's language.
import { page } from '../lib/page.js';

const CODES = 'AD AE AF AG AI AL AM AO AR AS AT AU AW AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ CA CD CF CG CH CI CK CL CM CN CO CR CU CV CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FM FO FR GA GB GD GE GF GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MG MH MK ML MM MN MO MQ MR MS MT MU MV MW MX MY MZ NA NC NE NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SI SK SL SM SN SO SR SS ST SV SY SZ TC TD TG TH TJ TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW'.split(' ');
const names = new Intl.DisplayNames([page.locale, 'en'], { type: 'region' });

export function countryName(code) {
  try {
    return names.of(code);
  } catch {
    return code;
  }
}

// fillCountries adds all countries to a select, in the alphabetical order of the language.
export function fillCountries(select, chosen) {
  const sorted = CODES.map((code) => [countryName(code), code]).sort((a, b) => a[0].localeCompare(b[0], page.locale));
  for (const option of [...select.options]) if (option.value) option.remove();
  for (const [name, code] of sorted) select.add(new Option(name, code, false, code === chosen));
}
