-- Two databases beside each other, each with an owner who cannot enter the other's. PostgreSQL's image runs this once,
-- when its volume is empty. The passwords come from the environment; without one, \getenv sets nothing and this stops.
\getenv label_studio_password LABEL_STUDIO_DB_PASSWORD
\getenv alearn_password ALEARN_DB_PASSWORD

CREATE ROLE label_studio LOGIN PASSWORD :'label_studio_password';
CREATE DATABASE label_studio OWNER label_studio;
REVOKE ALL ON DATABASE label_studio FROM PUBLIC;

CREATE ROLE alearn LOGIN PASSWORD :'alearn_password';
CREATE DATABASE alearn OWNER alearn;
REVOKE ALL ON DATABASE alearn FROM PUBLIC;
