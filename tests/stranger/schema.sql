-- release 1.4.0 of the order ledger
CREATE TABLE settings (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, marker text NOT NULL, state text NOT NULL, effects int NOT NULL);
CREATE :unlogged TABLE preferences (person text PRIMARY KEY, value text NOT NULL);
CREATE TABLE journal (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entry text NOT NULL);
-- the index is derived: a restore builds it again
CREATE TABLE word_index (word text, document int);

INSERT INTO settings VALUES ('currency', 'EUR'), ('retention', '30 d');
INSERT INTO documents VALUES
  (1, 'An order may be cancelled within fourteen days'),
  (2, 'The warehouse closes at eighteen hours'),
  (3, 'A refund takes five working days');
INSERT INTO journal (entry) VALUES ('ledger opened');

CREATE FUNCTION rebuild_index() RETURNS void LANGUAGE sql AS $$
  TRUNCATE word_index;
  INSERT INTO word_index SELECT lower(word), id FROM documents, regexp_split_to_table(body, '\W+') AS word WHERE length(word) > 3;
$$;
SELECT rebuild_index();
CREATE FUNCTION ask(question text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce((SELECT body FROM documents JOIN word_index ON id = document
    WHERE word IN (SELECT lower(w) FROM regexp_split_to_table(question, '\W+') AS w)
    GROUP BY id, body ORDER BY count(*) DESC, id LIMIT 1), 'I do not know');
$$;
CREATE FUNCTION place_order(wanted text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE number bigint;
BEGIN
  IF wanted = '' THEN RAISE EXCEPTION 'an order needs a marker' USING ERRCODE = 'check_violation'; END IF;
  INSERT INTO orders (marker, state, effects) VALUES (wanted, 'done', 1) RETURNING id INTO number;
  RETURN number;
END $$;
CREATE FUNCTION audit_roles() RETURNS bigint LANGUAGE sql SECURITY INVOKER AS $$ SELECT count(*) FROM pg_authid $$;

CREATE ROLE courier LOGIN; CREATE ROLE viewer LOGIN; CREATE ROLE clerk LOGIN;
CREATE ROLE manager LOGIN; CREATE ROLE guard LOGIN; CREATE ROLE breakglass LOGIN;
REVOKE EXECUTE ON FUNCTION place_order(text) FROM PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO courier, viewer, clerk, manager, guard, breakglass;
GRANT EXECUTE ON FUNCTION place_order(text) TO courier, clerk, breakglass;
GRANT INSERT ON orders TO courier, clerk, breakglass;
GRANT INSERT, UPDATE, DELETE ON preferences TO courier;
GRANT UPDATE ON settings TO manager, breakglass;
GRANT SELECT ON pg_authid TO guard;
GRANT DELETE ON orders TO breakglass;
