// The start page's robot follows its path once, unless the person wants no motion.
import { $, still } from './lib/ui.js';

if (!still.matches) $('.hero-picture')?.classList.add('moving');
