"""What moves objects: stores, informers, the work queue, the controller and its executor."""
