// All libraries, to look through.
import { librarySearch } from './maker/librarycards.js';

librarySearch()();
