-- How often each source has failed within the hour that began at `since`, over all names.
CREATE TABLE IF NOT EXISTS login_sources (
  source   VARBINARY(8) NOT NULL,
  failures INT          NOT NULL,
  since    DATETIME(6)  NOT NULL,
  PRIMARY KEY (source),
  KEY since (since)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
