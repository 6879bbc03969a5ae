SELECT CAST(UTC_DATE() AS CHAR),
       VERSION(),
       CONCAT('buffer pool of ', @@innodb_buffer_pool_size DIV 1048576, ' MiB, innodb_flush_log_at_trx_commit = ',
              @@innodb_flush_log_at_trx_commit, ', binary log ', IF(@@log_bin, 'on', 'off')),
       CONCAT(FORMAT((SELECT COUNT(*) FROM messages), 0), ' messages, the tables ',
              (SELECT CAST(SUM(data_length + index_length) / 1000000 AS SIGNED)
                 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'messages'), ' MB')
