CREATE TABLE t (id INT PRIMARY KEY, a INT);
SET tx_isolation = 'READ-COMMITTED'; -- want VAR807
SET SESSION storage_engine = InnoDB; -- want VAR807
SET @@session.query_cache_type = 0; -- want VAR807
SET @@query_cache_type = 0, sql_log_bin = 0; -- want VAR807
SET sql_log_bin = 0, max_statement_time = 1; -- want VAR807
SET transaction_isolation = 'READ-COMMITTED';
SET @tx_isolation = 1, @a = @@sql_mode;
SET NAMES utf8mb4;
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER'; -- want VAR807
SET sql_mode = 'ORACLE'; -- want VAR807
SET sql_mode = 'STRICT_TRANS_TABLES,ANSI_QUOTES';
SET sql_mode = '';
SET sql_mode = DEFAULT;
CREATE PROCEDURE p() BEGIN
  SET check_constraint_checks = 0; -- want VAR807
END;
CREATE PROCEDURE q(userstat INT) BEGIN DECLARE time_format INT; SET time_format = 1; SET userstat = 2; UPDATE t SET a = 1; END;
/*!100100 SET max_statement_time = 1 */;
/*!50003 SET sql_mode = 'NO_AUTO_CREATE_USER' */; -- want VAR807
/*!50003 SET sql_mode = 'STRICT_TRANS_TABLES' */;
SET optimizer_switch = 'index_merge=on,mrr_sort_keys=off'; -- want VAR807
SET optimizer_switch = 'index_merge=on';
CREATE TABLE dt (id INT PRIMARY KEY, date_format INT);
CREATE TRIGGER dt BEFORE INSERT ON dt FOR EACH ROW SET NEW.date_format = 1;
