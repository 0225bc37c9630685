-- Written like the other side; what is masked there has other values here, and is NULL where it is there.
INSERT INTO people VALUES
    (1, 'Ann', '7', '2010-11-12', 0, '{}', '[3, 2]', '(,)', '{}'),
    (2, 'Bob', 'x', '1980-01-02', 99999, '{longer,list,of,tags}', '{"z": null}', '(A,1)', '{9,8,7,6}'),
    (3, 'Cy', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'Dee', 'dee.with.a.long.name@example.com', '1950-02-03', 12.34, '{NULL}', '"s"', '(Z,99)', '{NULL,1}');
INSERT INTO staff VALUES
    (5, 'Eve', 'ann', '1980-01-02', 10.50, '{x}', '{"k": 5}', '(High St,2)', '{1}', 1),
    (6, 'Flo', 'bob@b.org', '2024-02-29', 1, '{a,b,c}', '{"a": {"b": 1}}', '(q,0)', '{5}', 2);
INSERT INTO bills VALUES
    (1, 1, 'ann', 10, 'z'),
    (2, 2, 'bob', 20, 'z'),
    (3, 1, NULL, 20, NULL),
    (4, 3, 'cy', 5, 'something else');
INSERT INTO a VALUES (1, 'one', 'ann'), (2, 'two', 'x'), (3, NULL, 'y');
INSERT INTO other.a VALUES
    (1, 'ann', 'ann'),
    (2, '', 'bob'),
    (5, NULL, 'x');
INSERT INTO parts VALUES (1, 1, 'north'), (2, 1, 'west'), (3, 2, 'south');
INSERT INTO notes VALUES (1, 'plain');
INSERT INTO memos VALUES (1, '7', 1), (2, 'right is longer', 2);
