from sentiment140_bert.cli import main

if __name__ == "__main__":
    main(prog_name="s140")
